"""What an archive may hold, and the meter that counts while it is unpacked."""

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

    Attributes:
        members: entries of the archive.
        unpacked_bytes: of all members together.
        ratio: unpacked bytes for each packed byte.
        unpack_s: seconds from the first byte to the last.
        directory_bytes: of a zip's directory.
        window_bytes: memory that xz, zstd or LZMA may take.
    """

    members: int
    unpacked_bytes: int
    ratio: int
    unpack_s: float
    directory_bytes: int
    window_bytes: int


class Meter:
    """Counts what comes out of one upload while it is unpacked, and raises an UploadError at a limit.

    The errors say `kept=0`; the caller knows how many recordings it kept.
    """

    def __init__(
        self, name: str, packed_bytes: int, limits: Limits, on_progress: Callable[[], None] | None = None
    ) -> None:
        """Start the clock.

        Args:
            name: of the upload, for the errors.
            packed_bytes: its size.
            limits: what it may hold.
            on_progress: called after each 8 MiB of output, even if the packed source was not read meanwhile:
                8 kB can unpack to so much.
        """
        self.name = name
        self.limits = limits
        self._most_by_ratio = max(RATIO_FREE_BYTES, limits.ratio * packed_bytes)
        self._deadline = time.monotonic() + limits.unpack_s
        self._on_progress = on_progress
        self._unpacked = self._since_progress = 0

    def member(self, number: int) -> None:
        """Count one member.

        Args:
            number: of the member, from 0, before it is read.

        Raises:
            TooManyMembers: there are more than the limit.
            UnpackTooLong: the time is over.
        """
        if number >= self.limits.members:
            raise TooManyMembers(name=self.name, limit=self.limits.members, kept=0)
        self._check_time()

    def unpacked(self, count: int) -> None:
        """Count bytes of output.

        Args:
            count: how many there are since the last call.

        Raises:
            UnpackedTooLarge: all output together exceeds the limit.
            UnlikelyRatio: there is too much output for the size of the upload.
            UnpackTooLong: the time is over.
        """
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
