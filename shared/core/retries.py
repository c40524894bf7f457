"""Trying again what failed outside: the one place, with exponential back-off and full jitter.

For what heals within seconds, and only while a lease surely holds. What lasts longer is given back with
a pause that grows (`shared.jobs.leases.give_back`), so that nobody waits with work in their hands. Requests
to the store are tried again by botocore itself (its `standard` mode does the same); this is for what it
does not cover: bodies that break off, and transactions.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from shared.core.errors.base import VoxmoodError

log = logging.getLogger(__name__)
FIRST_S = 0.1
T = TypeVar("T")


def jittered(first_s: float, tries: int, most_s: float) -> float:
    """Seconds to wait after `tries` failures: at random up to `first_s` doubled with each, or `most_s`.

    Full jitter: those who failed together do not come back together.
    """
    return random.uniform(0, min(most_s, first_s * 2.0 ** min(tries, 32)))


def again(work: Callable[[], T], errors: tuple[type[VoxmoodError], ...], limit_s: float) -> T:
    """What `work` returns; called again after these errors until `limit_s` seconds have passed."""
    deadline = time.monotonic() + limit_s
    tries = 0
    while True:
        try:
            return work()
        except errors as error:
            tries += 1
            pause_s = jittered(FIRST_S, tries, limit_s)
            if time.monotonic() + pause_s > deadline:
                raise
            log.info("try %s failed, again in %.1f s: %s", tries, pause_s, error)
        time.sleep(pause_s)
