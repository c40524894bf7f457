"""Names of what a recording may lack, apart from the code that measures it, which commands need not load."""

from __future__ import annotations

from enum import StrEnum


class QualityFlag(StrEnum):
    """A flag on rows and in filters. All but the first name something that a recording lacks."""

    good = "good"
    narrow_band = "narrow_band"
    noisy = "noisy"
    little_voice = "little_voice"


# As a sentence about a recording says them.
PHRASES = {
    QualityFlag.narrow_band: "telephone bandwidth",
    QualityFlag.noisy: "noisy",
    QualityFlag.little_voice: "little voice",
}
