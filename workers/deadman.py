"""What ends an unpack child that hangs: the kernel, unless the child shows in time that it goes on.

Celery's time limit cannot do it, since an upload may honestly take a day. SIGALRM with its default
action ends the process also where Python is not reached, as inside a decompressor. The worker's main
process then counts a crash on the upload, as for any child that is lost.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_limit_s = 0


@contextmanager
def deadman(limit_s: int) -> Iterator[None]:
    """Within this block the process ends unless `alive` is called every `limit_s` seconds."""
    global _limit_s
    _limit_s = limit_s
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        alive()
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def alive() -> None:
    """Something has been done: the time begins anew."""
    signal.alarm(_limit_s)
