"""What `voxmood doctor` finds: one thing that is right or wrong, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What one look has found. do: what to do about it, empty where nothing is to be done."""

    check: str
    level: Literal["ok", "warning", "problem"]
    says: str
    do: str = ""
