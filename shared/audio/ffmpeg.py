"""M4A, AAC and AMR, which libsndfile does not read, through PyAV (the extra `av`)."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from shared.errors.recordings import NeedsAv, NotAudio

if TYPE_CHECKING:
    from av import AudioResampler, AudioStream

HEAD_BYTES = 16
# By their content: FFmpeg's demuxer for it, and what people call it.
MP4, AAC, AMR = ("mp4", "an M4A recording"), ("aac", "an AAC recording"), ("amr", "an AMR recording")
# FFmpeg makes an index of 24 bytes a packet of what a header claims: three hours of AMR have 540,000 packets,
# but a file of 826 bytes claimed 50 million and took 676 MiB.
OPENING_BYTES = 128 * 2**20
DAMAGE = "its data is damaged or cut off"


def format_of(head: bytes) -> tuple[str, str] | None:
    """Which of the three a file is by its first 16 bytes; None for all others."""
    if head[4:8] == b"ftyp":
        return MP4
    if head.startswith(b"#!AMR"):
        return AMR
    # ADTS: twelve bits of sync and a layer of 0, which no MPEG audio layer has.
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return AAC
    return None


class FfmpegFile:
    """An open recording, with those parts of soundfile.SoundFile that decode uses.

    samplerate: Hz; channels; frames: of the whole recording. M4A's header has them; the others say
    nothing, so their packets are counted first, without decoding them.
    Raises NeedsAv where PyAV is not installed, and NotAudio.
    """

    def __init__(self, source: BinaryIO, kind: tuple[str, str], path: str) -> None:
        try:
            import av
        except ImportError as error:
            raise NeedsAv(path=path, kind=kind[1]) from error
        self._damage = av.FFmpegError
        self._path = path
        try:
            with _bounded(OPENING_BYTES):
                self._container = av.open(source, "r", format=kind[0], metadata_errors="replace")
                stream = self._audio()
                if kind == MP4 and stream.duration and stream.time_base:
                    duration_s = stream.duration * stream.time_base
                else:
                    ticks = sum(int(packet.duration or 0) for packet in self._container.demux(stream))
                    duration_s = ticks * (stream.time_base or Fraction(0))
                    self._container.close()
                    source.seek(0)
                    self._container = av.open(source, "r", format=kind[0], metadata_errors="replace")
                    stream = self._audio()
        except av.FFmpegError as error:
            raise NotAudio(path=path, reason=f"its header is damaged ({error.strerror})") from error
        except MemoryError as error:  # FFmpeg took all of it, and the next read found none
            raise NotAudio(path=path, reason="its header is damaged (it asks for too much memory)") from error
        self.samplerate = stream.sample_rate
        self.channels = stream.channels
        self.frames = int(duration_s * stream.sample_rate)
        # Interleaved: PyAV 18 counts the planes of a frame up to a null pointer, which those of 8 and more
        # channels do not have, and AAC of 7.1 ended the process.
        self._blocks = self._decoded(stream, av.AudioResampler(format="flt", rate=stream.sample_rate))
        self._left = np.empty((0, self.channels), np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def _audio(self) -> AudioStream:
        if not self._container.streams.audio:
            raise NotAudio(path=self._path, reason="there is no sound in it")
        stream = self._container.streams.audio[0]
        if stream.codec_context is None:
            raise NotAudio(path=self._path, reason="its sound is of no known format")
        return stream

    def _decoded(self, stream: AudioStream, resampler: AudioResampler) -> Iterator[NDArray[np.float32]]:
        """Blocks of shape (n, channels), about 20 ms each."""
        for frame in self._container.decode(stream):
            for interleaved in resampler.resample(frame):
                samples = np.asarray(interleaved.to_ndarray(), np.float32)
                yield samples.reshape(-1, interleaved.layout.nb_channels)

    def read(self, frames: int, dtype: str, always_2d: bool) -> NDArray[np.float32]:
        """Up to `frames` samples, shape (n, channels), float32 whatever is asked for; none at the end."""
        blocks, there = [self._left], len(self._left)
        try:
            while there < frames and (block := next(self._blocks, None)) is not None:
                blocks.append(block)
                there += len(block)
        except (self._damage, ValueError) as error:  # ValueError: rate or channels change on the way
            raise NotAudio(path=self._path, reason=DAMAGE) from error
        joined = np.concatenate(blocks)
        self._left = joined[frames:]
        return joined[:frames]


@contextmanager
def _bounded(most_bytes: int) -> Iterator[None]:
    """Meanwhile this process gets only so much memory more than it has: FFmpeg then says that it has none."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + most_bytes
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    within = limit if soft == resource.RLIM_INFINITY else min(soft, limit)
    resource.setrlimit(resource.RLIMIT_AS, (within, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
