"""How those who hold a lease keep it while they work."""

from __future__ import annotations

import time
from collections.abc import Callable

from workers import ending

SHARE = 0.1  # of a lease, which passes before it is renewed


class Renewal:
    """Called between two steps of the work: is this worker to go on, and is the lease still its own?

    `renew` is asked when a tenth of the lease has passed since it was last, and not at each step: on SQLite
    it is a commit of 4 ms, and a batch of 32 clips takes 250.
    """

    def __init__(self, renew: Callable[[], None], lease_s: float) -> None:
        self._renew = renew
        self._every_s = SHARE * lease_s
        self._renewed_at = time.monotonic()

    def __call__(self) -> None:
        """Raises Ending, or what `renew` does."""
        ending.check()
        if time.monotonic() - self._renewed_at >= self._every_s:
            self._renew()
            self._renewed_at = time.monotonic()
