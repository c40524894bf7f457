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
    """Run `main` as a command line; an expected error is printed as one sentence."""
    try:
        typer.run(main)
    except VoxmoodError as error:
        sys.exit(f"voxmood: {error}")


def ending_softly() -> None:
    """Have SIGTERM end a stack that was started, and hide the user's API key from it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.pop("VOXMOOD_API_KEY", None)


def say(sentence: str) -> None:
    """Write the progress to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)
