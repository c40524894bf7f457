"""WAV files whose header does not say where their samples are, as files whose header does.

Recorders that stream, and those that were switched off, leave a length of 0 or of an earlier time; some write
the samples before the format, leave out the byte after a chunk of odd length, or write several chunks of
samples; and some files were joined as they are. libsndfile itself copes with lengths that are too large and
with chunks it does not know.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from shared.audio.links import Link
from shared.audio.seekable_files import SeekableFile, SplicedFile, size_of

MAGICS = (b"RIFF", b"RF64", b"BW64")
MOST_CHUNKS = 1000  # of one recording
MOST_FORMAT_BYTES = 1024
MOST_REST_BYTES = 4096  # after the samples: tags of other formats, padding
# What writers leave that do not know the length: 0, 2**32 - 1, and what is near to 2**31 or 2**32.
UNKNOWN_BYTES = 0x7FF00000
_HEADER = struct.Struct("<4sL")
_LARGEST = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: bytes
    start: int  # of its content
    size: int  # as its header claims

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(slots=True)
class _Wave:
    """One WAV of a file.

    Attributes:
        start: where it begins in the file.
        magic: its first four bytes.
        format: the chunk that describes the samples.
        wide: the chunk with lengths of 64 bits (ds64).
        first: the first chunk of samples.
        is_padded: whether chunks of odd length are followed by a byte.
        claimed: bytes of samples, as the headers state them.
        samples: where the samples lie.
        next: where another WAV begins; None if it is the last.
    """

    start: int
    magic: bytes
    format: _Chunk | None = None
    wide: _Chunk | None = None
    first: _Chunk | None = None  # of samples
    is_padded: bool = True
    claimed: int = 0
    samples: list[range] = field(default_factory=list)
    next: int | None = None


def is_wave(head: bytes) -> bool:
    """Whether a file is a WAV, by its first 12 bytes."""
    return head[:4] in MAGICS and head[8:12] == b"WAVE"


def wave_links(source: SeekableFile, most: int) -> list[Link]:
    """The recordings of a file that is a WAV.

    Reads the headers of its chunks, and at most 1 KiB of each format.

    Args:
        source: the file.
        most: how many recordings are looked for at most.

    Returns:
        At most `most` + 1 links; the file itself where its header is good enough.
    """
    size = size_of(source)
    found: list[Link] = []
    start: int | None = 0
    while start is not None and len(found) <= most:
        wave = _wave(source, start, size)
        format_, first = wave.format, wave.first
        if format_ is None or first is None or format_.size > MOST_FORMAT_BYTES:
            break  # of no use to libsndfile either, which says why
        is_alone = start == 0 and wave.next is None
        found.append(_link(source, wave, format_, is_ordered=is_alone and format_.start < first.start))
        start = wave.next
    source.seek(0)
    return found or [Link(source)]


def _link(source: SeekableFile, wave: _Wave, format_: _Chunk, is_ordered: bool) -> Link:
    source.seek(format_.start)
    body = source.read(format_.size)
    source.seek(0)
    there = sum(map(len, wave.samples))
    is_sound = there == wave.claimed or (wave.claimed > there and wave.magic == b"RIFF")
    is_plain = len(wave.samples) == 1 and wave.is_padded and wave.magic != b"BW64"
    file = source if is_ordered and is_sound and is_plain else _with_header(source, body, wave.samples)
    bytes_a_second = int.from_bytes(body[8:12], "little")
    if there < wave.claimed < UNKNOWN_BYTES and bytes_a_second:
        return Link(file, promised_s=wave.claimed / bytes_a_second)
    return Link(file)


def _with_header(source: SeekableFile, body: bytes, samples: list[range]) -> SplicedFile:
    size = sum(map(len, samples))
    header = (
        _HEADER.pack(b"RIFF", min(_LARGEST, 20 + len(body) + size)) + b"WAVE"
        + _HEADER.pack(b"fmt ", len(body)) + body + _HEADER.pack(b"data", min(_LARGEST, size))
    )  # fmt: skip
    return SplicedFile(source, [header, *samples])


def _wave(source: SeekableFile, start: int, size: int) -> _Wave:
    """What the chunk headers say of the WAV that begins at `start`."""
    source.seek(start)
    wave = _Wave(start, source.read(4))
    place = start + 12
    for _ in range(MOST_CHUNKS):
        source.seek(place)
        header = source.read(_HEADER.size + 4)
        if len(header) < _HEADER.size:
            break
        if place > start + 12 and is_wave(header):
            wave.next = place
            break
        chunk = _Chunk(header[:4], place + _HEADER.size, _HEADER.unpack_from(header)[1])
        if chunk.name == b"data":
            if not _add_samples(source, wave, chunk, size):
                break
        elif chunk.name == b"fmt " and wave.format is None:
            wave.format = chunk
        elif chunk.name == b"ds64" and wave.wide is None:
            wave.wide = chunk
        elif wave.samples and wave.format and not _is_name(chunk.name):
            break
        end = wave.samples[-1].stop if chunk.name == b"data" and wave.samples else chunk.end
        if end % 2 != start % 2 and not _is_chunk(source, end + 1, size):
            wave.is_padded = wave.is_padded and wave.format is not None and wave.first is not None
            place = end
        else:
            place = end + (end % 2 != start % 2)
    return wave


def _add_samples(source: SeekableFile, wave: _Wave, chunk: _Chunk, size: int) -> bool:
    """Take a chunk of samples as far as it goes; false where nothing can follow it."""
    claimed = chunk.size
    if claimed == _LARGEST and wave.wide is not None and wave.first is None:
        source.seek(wave.wide.start + 8)  # RF64 has the length of its first one there
        claimed = int.from_bytes(source.read(8), "little")
    there = min(claimed, size - chunk.start)
    goes_on = chunk.start + there < size
    if size - chunk.start - there > MOST_REST_BYTES and not _is_chunk(source, chunk.start + there, size):
        there, goes_on = size - chunk.start, False
    if wave.first is None:
        wave.first = chunk
    wave.claimed += claimed
    if there or not wave.samples:
        wave.samples.append(range(chunk.start, chunk.start + there))
    return goes_on


def _is_name(name: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in name)


def _is_chunk(source: SeekableFile, place: int, size: int) -> bool:
    """Whether a chunk's header seems to lie there or at the next even byte, or the end of the file."""
    source.seek(place)
    header = source.read(_HEADER.size + 1)
    if len(header) <= _HEADER.size:
        return place + len(header) >= size  # a rest too small for samples or chunks
    shift = 1 if place % 2 and header[0] == 0 else 0
    name, length = _HEADER.unpack_from(header, shift)
    if name in MAGICS:  # a joined WAV may be of a stream
        return True
    return _is_name(name) and place + _HEADER.size + length <= size + 1
