"""WAV files whose header does not say where their samples are, as a file whose header does.

Recorders that stream, and those that were switched off, leave a length of 0 or of another time; some write
the samples before the format, or leave out the byte after a chunk of odd length. libsndfile itself bears
lengths that are too large and chunks it does not know.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Protocol

MOST_CHUNKS = 100
MOST_FORMAT_BYTES = 1024
MOST_REST_BYTES = 4096  # after the samples: tags of other formats, padding
_HEADER = struct.Struct("<4sL")
_LARGEST = 0xFFFFFFFF


class Source(Protocol):
    """What is read here: a file whose reads are full except at its end."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: bytes
    start: int  # of its content
    size: int  # as its header claims

    @property
    def end(self) -> int:
        return self.start + self.size


def mended(source: Source) -> Source | Spliced:
    """The source itself, at its beginning, where its header will do or it is no WAV; else a mended one.

    Reads the headers of its chunks, and at most 1 KiB of its format.
    """
    source.seek(0)
    magic = source.read(12)
    if magic[:4] not in (b"RIFF", b"RF64") or magic[8:] != b"WAVE":
        source.seek(0)
        return source
    size = source.seek(0, io.SEEK_END)
    chunks, is_padded = _chunks(source, size)
    format_, data = chunks.get(b"fmt "), chunks.get(b"data")
    if format_ is None or data is None or format_.size > MOST_FORMAT_BYTES:
        source.seek(0)
        return source
    claimed = _data_bytes(source, chunks, data)
    actual = min(claimed, size - data.start)
    if size - data.start - actual > MOST_REST_BYTES and not _is_chunk(source, data.start + actual, size):
        actual = size - data.start
    is_sound = actual == claimed or (claimed > actual and magic.startswith(b"RIFF"))
    if is_sound and is_padded and format_.start < data.start:
        source.seek(0)
        return source
    source.seek(format_.start)
    body = source.read(format_.size)
    header = (
        _HEADER.pack(b"RIFF", min(_LARGEST, 20 + len(body) + actual)) + b"WAVE"
        + _HEADER.pack(b"fmt ", len(body)) + body + _HEADER.pack(b"data", min(_LARGEST, actual))
    )  # fmt: skip
    return Spliced(header, source, data.start, actual)


def _chunks(source: Source, size: int) -> tuple[dict[bytes, _Chunk], bool]:
    """The first chunk of each name up to format and data, and whether all odd ones were padded."""
    chunks: dict[bytes, _Chunk] = {}
    is_padded = True
    place = 12
    for _ in range(MOST_CHUNKS):
        source.seek(place)
        header = source.read(_HEADER.size)
        if len(header) < _HEADER.size:
            break
        chunk = _Chunk(header[:4], place + _HEADER.size, _HEADER.unpack(header)[1])
        chunks.setdefault(chunk.name, chunk)
        if b"fmt " in chunks and b"data" in chunks:
            break
        place = chunk.end
        if place % 2 and not _is_chunk(source, place + 1, size):
            is_padded = False
        else:
            place += place % 2
    return chunks, is_padded


def _is_chunk(source: Source, place: int, size: int) -> bool:
    """Whether a chunk's header seems to lie there, or at the next even byte; or the end of the file."""
    source.seek(place)
    header = source.read(_HEADER.size + 1)
    if len(header) <= _HEADER.size:
        return place + len(header) >= size  # a rest too small for samples or chunks
    shift = 1 if place % 2 and header[0] == 0 else 0
    name, length = _HEADER.unpack_from(header, shift)
    return all(0x20 <= byte < 0x7F for byte in name) and place + _HEADER.size + length <= size + 1


def _data_bytes(source: Source, chunks: dict[bytes, _Chunk], data: _Chunk) -> int:
    """Bytes of samples as claimed: RF64 has them in its chunk ds64."""
    if data.size == _LARGEST and (wide := chunks.get(b"ds64")) is not None:
        source.seek(wide.start + 8)
        claimed = source.read(8)
        return int.from_bytes(claimed, "little")
    return data.size


class Spliced:
    """A header, and behind it a range of another file, as one file to read."""

    def __init__(self, header: bytes, source: Source, start: int, length: int) -> None:
        self._header = header
        self._source = source
        self._start = start
        self._size = len(header) + length
        self._place = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int) -> bytes:
        end = min(self._size, self._place + size)
        piece = self._header[self._place : end]
        if self._place + len(piece) < end:
            self._source.seek(self._start + self._place + len(piece) - len(self._header))
            piece += self._source.read(end - self._place - len(piece))
        self._place += len(piece)
        return piece

    def readinto(self, buffer: memoryview) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
