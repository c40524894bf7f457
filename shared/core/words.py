"""Phrases that the commands and the page have in common."""

from __future__ import annotations

from collections.abc import Mapping


def pace(clips_per_s: float) -> str:
    """A rate that is never rounded to nothing.

    >>> pace(350.4), pace(0.25)
    ('350 clips/s', '0.25 clips/s')
    """
    return f"{clips_per_s:,.0f} clips/s" if clips_per_s >= 10 else f"{clips_per_s:.2g} clips/s"


def clips(counts: Mapping[str, int]) -> str:
    """How many clips have an outcome, and out of how many, where that is not all of them.

    >>> clips({"done": 4, "clips": 4}), clips({"done": 4, "clips": 1200})
    ('4 clips', '4 of 1,200 clips')
    """
    done, found = counts["done"], counts["clips"]
    return f"{done:,} clips" if done == found else f"{done:,} of {found:,} clips"
