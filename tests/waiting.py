"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

# What becomes of a recording that can be read. A detector may hear no voice in one that is made in code.
ANSWERED = {"classified", "rejected", "no_voice"}


def wait_for(
    condition: Callable[[], object],
    limit_s: float = 30.0,
    otherwise: str | Callable[[], object] = "waited in vain",
) -> None:
    """Look every 20 ms until the condition is true; an AssertionError with `otherwise` after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, otherwise() if callable(otherwise) else otherwise
        time.sleep(0.02)
