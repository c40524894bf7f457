"""Files to decode from: as a decoder's callbacks need them, and ranges of one as a file of their own."""

from __future__ import annotations

import errno
import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, Protocol


class SeekableFile(Protocol):
    """What decoders read: a file whose reads are full except at its end."""

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes; fewer only at the end."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer; returns how many bytes it got, fewer than it holds only at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move the position and return it; -1 where it would lie before the beginning."""

    def tell(self) -> int:
        """The position."""


class WatchedFile:
    """A file for libsndfile's callbacks, which can neither raise errors nor take short reads.

    It has no `name`, because soundfile would take a file named .raw for samples without a header.

    Attributes:
        failure: what the file raised, which a decoder took for its end; None if it raised nothing.
    """

    def __init__(self, source: bytes | BinaryIO) -> None:
        self._file = io.BytesIO(source) if isinstance(source, bytes) else source
        self.failure: Exception | None = None

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; returns how many bytes it got."""
        done = 0
        try:
            while done < len(buffer):
                piece = self._file.read(len(buffer) - done)
                if not piece:
                    break
                buffer[done : done + len(piece)] = piece
                done += len(piece)
        except Exception as failure:
            self.failure = failure
        return done

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer at the end, or where the file raised an error."""
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position and return it.

        Returns:
            The position; -1 for places that only damaged headers name: before the beginning, or farther than
            files can reach.
        """
        try:
            base = 0 if whence == io.SEEK_SET else self._file.seek(0, whence)
            return self._file.seek(base + offset) if base + offset >= 0 else -1
        except Exception as failure:
            if getattr(failure, "errno", None) != errno.EINVAL:
                self.failure = failure
            return -1

    def tell(self) -> int:
        """The position."""
        return self._file.tell()


class SplicedFile:
    """Bytes and ranges of another file, one after another, as one file."""

    def __init__(self, source: SeekableFile, pieces: Sequence[bytes | range]) -> None:
        """Join the pieces.

        Args:
            source: the other file.
            pieces: bytes, or a range of positions in `source`; empty ones are left out.
        """
        self._source = source
        self._pieces = [piece for piece in pieces if len(piece)]
        self._ends = list(accumulate(len(piece) for piece in self._pieces))
        self._size = self._ends[-1] if self._ends else 0
        self._place = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position and return it; -1 where it would lie before the beginning."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            return -1
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """The position."""
        return self._place

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer at the end."""
        read = bytearray()
        number = bisect_right(self._ends, self._place)
        while len(read) < size and number < len(self._pieces):
            piece, end = self._pieces[number], self._ends[number]
            start = self._place - (end - len(piece))
            wanted = piece[start : start + size - len(read)]
            if isinstance(wanted, range):
                self._source.seek(wanted.start)
                some = self._source.read(len(wanted))
            else:
                some = wanted
            read += some
            self._place += len(some)
            if len(some) < len(wanted):  # the other file is shorter than its ranges
                break
            number += self._place == end
        return bytes(read)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; returns how many bytes it got."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def size_of(source: SeekableFile) -> int:
    """The size of a file in bytes; its position is at the beginning afterwards."""
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    return size


class FileView:
    """The bytes of a file by position, read ahead in blocks, for scans that take a few bytes at a time."""

    def __init__(self, source: SeekableFile, block_bytes: int = 2**16) -> None:
        self._source = source
        self._block_bytes = block_bytes
        self._start = 0
        self._held = b""

    def at(self, place: int, size: int) -> bytes:
        """The `size` bytes from `place` on; fewer at the end of the file."""
        start = place - self._start
        if start < 0 or start + size > len(self._held):
            self._source.seek(place)
            self._start, self._held = place, self._source.read(max(size, self._block_bytes))
            start = 0
        return self._held[start : start + size]
