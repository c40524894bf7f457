"""How each benchmark is called: `python -m benchmarks.…`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import typer

from shared.core.errors.base import VoxmoodError


def run(main: Callable[..., None]) -> None:
    """The command line of `main`; an expected error is one sentence."""
    try:
        typer.run(main)
    except VoxmoodError as error:
        sys.exit(f"voxmood: {error}")


def ending_softly() -> None:
    """For those who start a stack: SIGTERM takes it down too, and no key of another one is shown to it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.pop("VOXMOOD_API_KEY", None)


def say(sentence: str) -> None:
    """How far it is, to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)
