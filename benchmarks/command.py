"""How each benchmark is called: `python -m benchmarks.…`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from shared.errors.base import VoxmoodError


def run(main: Callable[..., None]) -> None:
    """The command line of `main`; an expected error is one sentence."""
    try:
        typer.run(main)
    except VoxmoodError as error:
        sys.exit(f"voxmood: {error}")
