"""A stored object as a file whose reads are ranged requests."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class RangedReader(io.RawIOBase):
    """The raw side of `Storage.open`: each `readinto` is one ranged GET."""

    def __init__(self, read: Callable[[int, int], bytes], length: int) -> None:
        """Read a range of an object as a file of its own.

        Args:
            read: gives bytes of the range by position and count.
            length: bytes of the range.
        """
        self._read = read
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        """True; see `io.IOBase`."""
        return True

    def seekable(self) -> bool:
        """True; see `io.IOBase`."""
        return True

    def tell(self) -> int:
        """The position, counted from the beginning of the range."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; costs no request."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer as far as the range goes, and return how many bytes it got."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._length - self._position)
        if wanted <= 0:
            return 0
        block = self._read(self._position, wanted)
        view[: len(block)] = block
        self._position += len(block)
        return len(block)
