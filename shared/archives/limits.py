"""What an archive may hold, and the count that is kept while it is unpacked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.core.errors.uploads import TooManyMembers, UnlikelyRatio, UnpackedTooLarge, UnpackTooLong

# Up to here an archive may unpack to any multiple of its size: silence packs by over 1,000.
RATIO_FREE_BYTES = 100 * 10**6
PROGRESS_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What no honest archive exceeds.

    members: entries; unpacked_bytes: all members together; ratio: unpacked bytes for each packed one;
    unpack_s: seconds from the first byte; directory_bytes: of a zip; window_bytes: memory for xz, zstd
    and LZMA.
    """

    members: int
    unpacked_bytes: int
    ratio: int
    unpack_s: float
    directory_bytes: int
    window_bytes: int


class Meter:
    """Counts one upload while it is unpacked. Raises an UploadError (`kept=0`: the caller counts them).

    `on_progress()` is called after each 8 MiB of output, whether or not the packed source was read
    meanwhile: that much can come from 8 kB.
    """

    def __init__(
        self, name: str, packed_bytes: int, limits: Limits, on_progress: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.limits = limits
        self._most_by_ratio = max(RATIO_FREE_BYTES, limits.ratio * packed_bytes)
        self._deadline = time.monotonic() + limits.unpack_s
        self._on_progress = on_progress
        self._unpacked = self._since_progress = 0

    def member(self, number: int) -> None:
        """Before member `number` (from 0)."""
        if number >= self.limits.members:
            raise TooManyMembers(name=self.name, limit=self.limits.members, kept=0)
        self._check_time()

    def unpacked(self, count: int) -> None:
        """After each `count` bytes of output."""
        self._unpacked += count
        if self._unpacked > self.limits.unpacked_bytes:
            raise UnpackedTooLarge(name=self.name, limit_bytes=self.limits.unpacked_bytes, kept=0)
        if self._unpacked > self._most_by_ratio:
            raise UnlikelyRatio(name=self.name, ratio=self.limits.ratio, kept=0)
        self._check_time()
        self._since_progress += count
        if self._since_progress >= PROGRESS_BYTES:
            self._since_progress = 0
            if self._on_progress is not None:
                self._on_progress()

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise UnpackTooLong(name=self.name, limit_s=self.limits.unpack_s, kept=0)
