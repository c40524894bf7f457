"""MP3 files whose length no header states truly, as files that libsndfile reads to their end.

An MP3 file is a sequence of frames. If anything says how many there are, it is the first frame (the Xing or
Info frame). Without it a decoder takes the bit rate of the first frame for that of all: of 97 s with a
varying bit rate, written to a pipe, 21 s were decoded. Joined files have the number of the first one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from shared.audio.links import Link
from shared.audio.seekable_files import FileView, SeekableFile, SplicedFile, size_of

MOST_JUNK_BYTES = 2**20  # between two frames; what lies behind is no longer looked for
# ISO 11172-3 and 13818-3, layer III: kbit/s by index, for MPEG 1 and for MPEG 2 and 2.5.
_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
# The frame that says how many there are has no sound: 4 bytes of header, up to 32 of side information (zeros
# here), its name, its flags, the number.
_SMALLEST_FRAME = 4 + 32 + 12


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame by the 4 bytes of its header.

    Attributes:
        header: these bytes.
        size: of the frame, in bytes.
        samples: of each channel.
        sampling_rate: in Hz.
    """

    header: bytes
    size: int
    samples: int
    sampling_rate: int

    @property
    def kind(self) -> tuple[int, int]:
        """What all frames of one stream have in common."""
        return self.sampling_rate, self.samples

    @property
    def name_at(self) -> int:
        """Where the name of an Xing or Info frame stands: behind the side information."""
        is_mono = self.header[3] >> 6 == 3
        if self.samples == 1152:
            return 4 + (17 if is_mono else 32)
        return 4 + (9 if is_mono else 17)


@dataclass(slots=True)
class _Stream:
    """Frames that belong together.

    Attributes:
        first: one of its frames.
        start: where it begins in the file.
        end: where it ends.
        stated: how many frames its first frame says there are; None if it says nothing.
        frames: how many there are.
        bit_rates: the codes of the bit rates in it; with more than one, no decoder can guess the length.
        is_broken: whether something else lies between its frames.
    """

    first: _Frame
    start: int
    end: int
    stated: int | None
    frames: int = 0
    bit_rates: frozenset[int] = frozenset()  # of bit rate: more than one, and no decoder can guess the length
    is_broken: bool = False  # something else lies between its frames

    @property
    def is_true(self) -> bool:
        """Whether a decoder finds the right length by itself."""
        if self.stated is not None:
            return abs(self.stated - self.frames) <= 1
        return len(self.bit_rates) < 2 and not self.is_broken


def mp3_links(source: SeekableFile, most: int) -> list[Link]:
    """The recordings of an MP3 file, by the header of each frame.

    Args:
        source: the file.
        most: how many recordings are looked for at most.

    Returns:
        At most `most` + 1 links; the file itself if a decoder reads it to its end, or if it has no frames of
        layer III, or only some of a free bit rate.
    """
    size = size_of(source)
    streams = _streams(FileView(source), size, most)
    source.seek(0)
    if not streams:
        return [Link(source)]
    links = [_link(source, one) for one in streams]
    if len(streams) == 1 and streams[0].is_true:
        return [Link(source, links[0].promised_s)]
    return links


def _link(source: SeekableFile, stream: _Stream) -> Link:
    promised_s = None
    if stream.stated is not None and stream.stated > stream.frames + 1:
        promised_s = stream.stated * stream.first.samples / stream.first.sampling_rate
    span = range(stream.start, stream.end)
    if stream.is_true and promised_s is None:
        return Link(SplicedFile(source, [span]))
    if stream.stated is not None:  # its own first frame is wrong
        span = range(stream.start + stream.first.size, stream.end)
    return Link(SplicedFile(source, [_numbered(stream.first, stream.frames), span]), promised_s)


def _numbered(like: _Frame, frames: int) -> bytes:
    """A frame without sound that says how many frames follow; `like` is one of them."""
    first, second, third, fourth = like.header  # without a checksum and padding, at any bit rate
    tried = (_frame(bytes([first, second | 1, third & 0x0D | index << 4, fourth])) for index in range(1, 15))
    frame = next(one for one in tried if one is not None and one.size >= _SMALLEST_FRAME)
    body = bytearray(frame.size)
    body[:4] = frame.header
    struct.pack_into(">4sLL", body, frame.name_at, b"Xing", 1, frames)
    return bytes(body)


def _streams(view: FileView, size: int, most: int) -> list[_Stream]:
    streams: list[_Stream] = []
    bit_rates: set[int] = set()
    place = _behind_tags(view, 0)
    ends_stream = True
    while place + 4 <= size and len(streams) <= most:
        frame = _frame(view.at(place, 4))
        if frame is None:
            if (behind := _behind_tags(view, place)) > place:
                place, ends_stream = behind, True
                continue
            found = _next_frame(view, place, size)
            if found is None:
                break
            if streams:
                streams[-1].is_broken = True
            place = found
            continue
        stated, is_number = _stated(view.at(place, 192), frame)
        if ends_stream or is_number or frame.kind != streams[-1].first.kind:
            if streams:
                streams[-1].bit_rates = frozenset(bit_rates)
            streams.append(_Stream(frame, place, place, stated))
            bit_rates, ends_stream = set(), False
        if not is_number:
            streams[-1].frames += 1
            bit_rates.add(frame.header[2] >> 4)
        place += frame.size
        streams[-1].end = min(place, size)
    if streams:
        streams[-1].bit_rates = frozenset(bit_rates)
    return [stream for stream in streams if stream.frames]


def _frame(header: bytes) -> _Frame | None:
    """A frame of layer III by its header; None if it is none, or has a free bit rate."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version not in _RATES or bits in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    sampling_rate = _RATES[version][rate]
    kbits = _KBITS[0 if is_first else 1][bits]
    samples = 1152 if is_first else 576
    size = samples // 8 * kbits * 1000 // sampling_rate + (header[2] >> 1 & 1)
    return _Frame(header, size, samples, sampling_rate)


def _stated(head: bytes, frame: _Frame) -> tuple[int | None, bool]:
    """How many frames follow according to this one, and whether it is an Xing, Info or VBRI frame at all."""
    if head[frame.name_at : frame.name_at + 4] in (b"Xing", b"Info"):
        numbers = head[frame.name_at + 4 : frame.name_at + 12]
        if len(numbers) < 8:  # the file is cut off in it
            return None, True
        flags, frames = struct.unpack(">2L", numbers)
        return (frames if flags & 1 else None), True
    if head[36:40] == b"VBRI":  # always behind 32 bytes (Fraunhofer); the number is its sixth field
        return int.from_bytes(head[50:54], "big"), True
    return None, False


def _behind_tags(view: FileView, place: int) -> int:
    """Where the data goes on behind ID3 (versions 2 and 1) and APE tags."""
    while True:
        head = view.at(place, 32)
        if head.startswith(b"ID3") and len(head) >= 10 and max(head[6:10]) < 0x80:
            size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            place += 10 + size + (10 if head[5] & 0x10 else 0)
        elif head.startswith(b"TAG"):
            place += 128
        elif head.startswith(b"APETAGEX") and len(head) == 32:
            place += 32 + int.from_bytes(head[12:16], "little")
        else:
            return place


def _next_frame(view: FileView, place: int, size: int) -> int | None:
    """Where the next frame begins, recognised by two headers of one kind in a row; None if there is none."""
    until = min(size, place + MOST_JUNK_BYTES)
    while place < until:
        some = view.at(place, 2**14)
        at = some.find(b"\xff")
        while at >= 0:
            if _begins_two(view, place + at, size):
                return place + at
            some = view.at(place, 2**14)
            at = some.find(b"\xff", at + 1)
        place += max(1, len(some))
    return None


def _begins_two(view: FileView, place: int, size: int) -> bool:
    first = _frame(view.at(place, 4))
    if first is None:
        return False
    second = _frame(view.at(place + first.size, 4))
    return second is not None and first.kind == second.kind and place + first.size < size
