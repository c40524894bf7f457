"""Files to decode from: as a decoder's callbacks need them, and ranges of one as a file of their own."""

from __future__ import annotations

import errno
import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, Protocol


class SeekableFile(Protocol):
    """What is read here: a file whose reads are full except at its end."""

    def read(self, size: int, /) -> bytes: ...
    def readinto(self, buffer: memoryview, /) -> int: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


class WatchedFile:
    """A file for libsndfile's callbacks, which can neither raise nor take short reads.

    It has no `name`, by which soundfile would take a file named .raw for headerless samples. failure: what
    the file raised, which a decoder took for its end.
    """

    def __init__(self, source: bytes | BinaryIO) -> None:
        self._file = io.BytesIO(source) if isinstance(source, bytes) else source
        self.failure: Exception | None = None

    def readinto(self, buffer: memoryview) -> int:
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
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """-1 where only damaged headers point: before the beginning, or farther than files can be."""
        try:
            base = 0 if whence == io.SEEK_SET else self._file.seek(0, whence)
            return self._file.seek(base + offset) if base + offset >= 0 else -1
        except Exception as failure:
            if getattr(failure, "errno", None) != errno.EINVAL:
                self.failure = failure
            return -1

    def tell(self) -> int:
        return self._file.tell()


class SplicedFile:
    """Bytes, and ranges of another file, one behind the other as one file to read.

    pieces: bytes as they are, or a range of `source`, each with at least one byte.
    """

    def __init__(self, source: SeekableFile, pieces: Sequence[bytes | range]) -> None:
        self._source = source
        self._pieces = [piece for piece in pieces if len(piece)]
        self._ends = list(accumulate(len(piece) for piece in self._pieces))
        self._size = self._ends[-1] if self._ends else 0
        self._place = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            return -1
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int) -> bytes:
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
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def size_of(source: SeekableFile) -> int:
    """Bytes in a file; it is left at its beginning."""
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    return size


class FileView:
    """A file's bytes by place, read ahead in blocks: for scans that take a few bytes here and there."""

    def __init__(self, source: SeekableFile, block_bytes: int = 2**16) -> None:
        self._source = source
        self._block_bytes = block_bytes
        self._start = 0
        self._held = b""

    def at(self, place: int, size: int) -> bytes:
        """`size` bytes from `place` on; fewer at the end."""
        start = place - self._start
        if start < 0 or start + size > len(self._held):
            self._source.seek(place)
            self._start, self._held = place, self._source.read(max(size, self._block_bytes))
            start = 0
        return self._held[start : start + size]
