"""How the commands and the page say the same things."""

from __future__ import annotations


def pace(clips_per_s: float) -> str:
    """A rate that is never rounded to nothing.

    >>> pace(350.4), pace(0.25)
    ('350 clips/s', '0.25 clips/s')
    """
    return f"{clips_per_s:,.0f} clips/s" if clips_per_s >= 10 else f"{clips_per_s:.2g} clips/s"
