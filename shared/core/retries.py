"""Retries of what failed outside of this process: the one place, with exponential back-off and full jitter.

For failures that heal within seconds, and only while a lease surely holds. For longer ones the work is given
back with a growing pause (`shared.jobs.leases.give_back`), so that no worker waits while it holds a lease.
botocore itself retries requests to the store (its `standard` mode does the same); this is for what it does
not cover: bodies that break off, and transactions.
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
    """A random pause before the next try, in seconds.

    Full jitter: clients that failed together do not return together.

    Args:
        first_s: the longest pause after no failure; it doubles with each.
        tries: failures so far.
        most_s: the longest pause at all.
    """
    return random.uniform(0, min(most_s, first_s * 2.0 ** min(tries, 32)))


def again(work: Callable[[], T], errors: tuple[type[VoxmoodError], ...], limit_s: float) -> T:
    """Call `work` until it succeeds.

    Args:
        work: is called.
        errors: after which it is called again; others are raised.
        limit_s: seconds after which the last of these errors is raised.

    Returns:
        What `work` returns.
    """
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
