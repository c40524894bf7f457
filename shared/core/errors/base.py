"""The base of all that can go wrong: an error is a class, its docstring the sentence that the user reads."""

from __future__ import annotations

from voxmood.errors import VoxmoodError

__all__ = ["VoxmoodError"]
