"""A limit on how sure a network is, as a rule gives it."""

from __future__ import annotations

from pydantic import BaseModel


class Threshold(BaseModel):
    """A limit on a score. set_on: the unknown emotion it was set on; rule: `seed` or `risk`; is_reached:
    whether the rule gave it as it is, or fell back on its bound (seed) or on the lowest risk (risk).
    """

    set_on: str
    rule: str
    score: str
    value: float
    is_reached: bool
