"""Names of what a recording may lack, apart from the code that measures it, which the API need not load."""

from __future__ import annotations

from voxmood.states import QualityFlag as QualityFlag

# As a sentence about a recording says them.
PHRASES = {
    QualityFlag.narrow_band: "telephone bandwidth",
    QualityFlag.noisy: "noisy",
    QualityFlag.little_voice: "little voice",
}
