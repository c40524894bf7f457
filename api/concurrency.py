"""Limits of concurrency: how many requests may do the same at once, in all and of one API key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shared.core.errors.base import VoxmoodError


class ConcurrencyLimit:
    """So many requests in all, and so many of each key. For use in one event loop."""

    def __init__(self, most: int, most_of_key: int, refusal: type[VoxmoodError]) -> None:
        """refusal: what is raised, with `count` and `whose`, where there are as many as may be."""
        self._most = most
        self._most_of_key = most_of_key
        self._refusal = refusal
        self._taken: Counter[int | None] = Counter()

    @contextmanager
    def slot(self, key_id: int | None) -> Iterator[None]:
        """Counts as one of them as long as the block lasts; key_id: None is the machine's owner.

        Raises:
            VoxmoodError: the refusal; there are as many as may be.
        """
        if key_id is not None and self._taken[key_id] >= self._most_of_key:
            raise self._refusal(count=self._most_of_key, whose="Your key")
        if self._taken.total() >= self._most:
            raise self._refusal(count=self._most, whose="This server")
        self._taken[key_id] += 1
        try:
            yield
        finally:
            self._taken[key_id] -= 1
            self._taken += Counter()  # forgets those who have none
