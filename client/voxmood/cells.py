"""Cells of CSV files that people open in a spreadsheet."""

from __future__ import annotations

from typing import Any

# A cell that begins so is a formula to a spreadsheet, and a path may be anything.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def guarded(cell: Any) -> Any:
    """The cell with a leading ' where a spreadsheet would compute it.

    >>> guarded("=1+1.wav"), guarded("a.wav"), guarded(0.5)
    ("'=1+1.wav", 'a.wav', 0.5)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def unguarded(cell: str) -> str:
    """What a cell was before it was `guarded`."""
    return cell.removeprefix("'")
