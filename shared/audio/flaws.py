"""Sentences that say why less was decoded of a recording than it should hold."""

from __future__ import annotations

DAMAGE = "its data is damaged or cut off"


def damaged_at(place_s: float) -> str:
    """The first damage lies there; what follows was decoded as far as possible."""
    return f"its data is damaged at about {place_s:.1f} s"


def breaks_off(promised_s: float, there_s: float) -> str:
    """The recording ends before the length that its own header states."""
    return f"its header promises {promised_s:.1f} s, and {there_s:.1f} s are there"


def one_of(links: int, flaw: str) -> str:
    """One of several recordings that were joined in a file has a flaw; the others were decoded."""
    return f"of the {links} recordings joined in it one is faulty: {flaw}"
