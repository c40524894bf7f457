"""A worker's soft end: on SIGTERM its children give back what they hold, at their next step.

Celery's warm shutdown waits until running tasks have ended, and tells the children nothing. So the main
process sets one byte of memory that it shares with all children, made before the first fork; they look
at it between two batches, reads or epochs. A child that reaches no such step in time is killed by what
started the worker (`voxmood up` after 10 s, Compose after 30 s), and its lease runs out as after any death.
"""

from __future__ import annotations

import mmap
from functools import cache


class Ending(Exception):
    """This worker is asked to end: give the work back."""


@cache
def _flag() -> mmap.mmap:
    return mmap.mmap(-1, 1)


def prepare() -> None:
    """Make the shared byte; in the main process, before it forks."""
    _flag()[0] = 0


def announce() -> None:
    """Ask all children to give back what they hold; safe inside a signal handler."""
    _flag()[0] = 1


def is_announced() -> bool:
    """Whether this worker has been asked to end."""
    return bool(_flag()[0])


def check() -> None:
    """Raise Ending once this worker has been asked to end."""
    if is_announced():
        raise Ending
