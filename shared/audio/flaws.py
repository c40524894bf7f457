"""The words for why less was heard of a recording than it should hold."""

from __future__ import annotations

DAMAGE = "its data is damaged or cut off"


def damaged_at(place_s: float) -> str:
    """The first damage lies there; what comes behind it was heard as far as it could be."""
    return f"its data is damaged at about {place_s:.1f} s"


def breaks_off(promised_s: float, there_s: float) -> str:
    """It ends too early, by its own header."""
    return f"its header promises {promised_s:.1f} s, and {there_s:.1f} s are there"


def one_of(links: int, flaw: str) -> str:
    """One of several recordings that were joined has a flaw; the others were heard."""
    return f"of the {links} recordings joined in it one is faulty: {flaw}"
