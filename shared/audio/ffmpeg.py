"""What libsndfile does not read, read through PyAV (the extra `av`) by FFmpeg's demuxers and decoders.

FFmpeg gets bytes and no way to any other file: only the containers and codecs that are named here are tried,
and no protocol, since a playlist could name a file of this machine or an address.
"""

from __future__ import annotations

import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from shared.audio.arrays import Floats
from shared.audio.channels import mixed, spread_over
from shared.audio.ffmpeg_formats import DECODERS, DEMUXERS, STATES_LENGTH
from shared.audio.flaws import DAMAGE, breaks_off, damaged_at
from shared.audio.seekable_files import SeekableFile, size_of
from shared.core.errors.recordings import NeedsAv, NotAudio, UnreadCodec

if TYPE_CHECKING:
    from av import AudioCodecContext, AudioFrame, AudioStream

# FFmpeg makes an index of 24 bytes a packet of what a header claims: three hours of AMR have 540,000 packets,
# but a file of 826 bytes claimed 50 million and took 676 MiB.
OPENING_BYTES = 128 * 2**20
NO_SOUND = "there is no sound in it"
# A header's length in seconds may differ from what is decoded by a codec's run-in, 0.13 s at 8 kHz.
TOLERANCE_S = 0.25
_OPTIONS = {"format_whitelist": DEMUXERS, "codec_whitelist": DECODERS, "protocol_whitelist": "none"}
# What MP4, Matroska and WAV call a codec, in the first or last MiB.
_CODEC_NAME = re.compile(rb"stsd.{12}(.{4})|(A_[A-Z0-9/_]{2,40})|fmt .{4}(..)", re.DOTALL)
NAME_BYTES = 2**20
_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)", re.ASCII)
# FFmpeg's own decoders of AMR refuse the frames that describe a pause (DTX).
_BETTER = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}


class FfmpegFile:
    """An open recording; of a video, its first sound track.

    A rate or number of channels that changes on the way is converted to that of the beginning.

    Attributes:
        samplerate: in Hz.
        channels: how many it has.
        frames: of the whole recording: counted by its packets where all of it is wanted, else as its header
            states it, if it does.
        flaw: what was wrong on the way, or that it ends before its stated length.
    """

    def __init__(self, source: SeekableFile, path: str, *, whole: bool, kind: str | None = None) -> None:
        """Open a recording.

        Args:
            source: its bytes.
            path: its name, for the errors.
            whole: count its packets first, without decoding them.
            kind: what it is, in words, for the error.

        Raises:
            NeedsAv: PyAV is not installed.
            UnreadCodec: its codec is not read.
            NotAudio: its header is damaged, or there is no sound in it.
        """
        try:
            import av
        except ImportError as error:
            raise NeedsAv(path=path, kind=kind or "a recording") from error
        self._av, self._path, self._source = av, path, source
        self.flaw: str | None = None
        self.samplerate = self._decoded_frames = 0
        try:
            with _bounded(OPENING_BYTES):
                stream = self._open()
                duration_s = self._promised_s = self._claimed_s(stream)
                if whole or not duration_s:
                    duration_s = self._counted_s(stream) or duration_s
                    self._container.close()
                    stream = self._open()
                    self.flaw = None  # it is found again, if it lies within what is wanted
        except av.FFmpegError as error:
            raise NotAudio(path=path, reason=f"its header is damaged ({error.strerror})") from error
        except MemoryError as error:  # FFmpeg took all of it, and the next read found none
            raise NotAudio(path=path, reason="its header is damaged (it asks for too much memory)") from error
        self.samplerate = int(stream.sample_rate or 0)
        self.channels = int(stream.channels or 0)
        self.frames = int(duration_s * self.samplerate)
        self._layout = stream.codec_context.layout
        self._done = self._decoded_frames = 0
        # Interleaved: PyAV 18 counts the planes of a frame up to a null pointer, which those of 8 and more
        # channels do not have, and AAC of 7.1 ended the process.
        self._format: tuple[Any, ...] | None = None
        self._resampler: Any = None
        self._blocks = self._decoded(stream)
        self._left = np.empty((0, self.channels), np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _open(self) -> AudioStream:
        self._source.seek(0)
        self._container = self._av.open(
            self._source,
            "r",
            options=dict(_OPTIONS),
            metadata_errors="replace",
        )
        from av.stream import Discard

        if not self._container.streams.audio:
            raise NotAudio(path=self._path, reason=NO_SOUND)
        stream = self._container.streams.audio[0]
        for other in self._container.streams:
            if other.index != stream.index:
                other.discard = Discard.all  # pictures are not even read where an index allows it
        if stream.codec_context is not None and stream.codec_context.codec.name == "alac":
            # Its last packet is as short as it should be, and FFmpeg would cut what CAF says again.
            stream.codec_context.options = {"flags2": "skip_manual"}
        if stream.codec_context is None or stream.codec_context.codec.name not in DECODERS.split(","):
            raise UnreadCodec(path=self._path, codec=self._codec_name(stream))
        return stream

    def _codec_name(self, stream: AudioStream) -> str:
        """FFmpeg's name of the codec, or that of the container where FFmpeg has none."""
        if stream.codec_context is not None:
            return stream.codec_context.codec.name
        size = size_of(self._source)
        for start in (0, max(0, size - NAME_BYTES)):
            self._source.seek(start)
            if found := _CODEC_NAME.search(self._source.read(NAME_BYTES)):
                fourcc, matroska, wave = found.groups()
                if wave is not None:
                    return f"WAV format 0x{int.from_bytes(wave, 'little'):04X}"
                name = (fourcc or matroska).strip().decode("latin-1")
                return name.encode("unicode_escape").decode("ascii")  # four bytes may be any, NUL too
        return "something unknown"

    def _claimed_s(self, stream: AudioStream) -> Fraction:
        """What the header says of the sound; 0 where it does not."""
        if self._container.format.name not in STATES_LENGTH:
            return Fraction(0)
        if stream.duration and stream.duration > 0 and stream.time_base:
            return stream.duration * stream.time_base
        told = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))  # Matroska's, of each track
        if told is not None:
            hours, minutes, seconds = told.groups()
            return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
        of_all = self._container.duration  # in microseconds; pictures may last longer than the sound
        return Fraction(of_all or 0, 1_000_000) if len(self._container.streams) == 1 else Fraction(0)

    def _counted_s(self, stream: AudioStream) -> Fraction:
        ticks = sum(max(0, int(packet.duration or 0)) for packet in self._packets(stream))
        if ticks or not stream.codec_context.sample_rate:
            return ticks * (stream.time_base or Fraction(0))
        # Nothing says how long the packets are: they have to be decoded.
        self._container.close()
        stream = self._open()
        samples = sum(frame.samples for packet in self._packets(stream) for frame in self._frames(packet))
        return Fraction(samples, stream.codec_context.sample_rate)

    def _packets(self, stream: AudioStream) -> Iterator[Any]:
        """The packets up to the end, or to where the container is damaged."""
        try:
            yield from self._container.demux(stream)
        except self._av.FFmpegError:
            self._note_flaw()
        except IndexError:
            pass  # PyAV 18, at the end and behind our packets: it looks for streams that began on the way

    def _note_flaw(self) -> None:
        self.flaw = self.flaw or damaged_at(self._decoded_frames / max(self.samplerate, 1))

    def _frames(self, packet: Any, decoder: Any = None) -> list[Any]:
        """The frames of a packet; none for a damaged packet, as players do it."""
        try:
            return (decoder.decode(packet) if decoder is not None else packet.decode()) or []
        except self._av.FFmpegError:
            self._note_flaw()
            return []

    def _decoded(self, stream: AudioStream) -> Iterator[Floats]:
        """Blocks of shape (n, channels), about 20 ms each."""
        decoder = None
        better = _BETTER.get(stream.codec_context.codec.name)
        if better in self._av.codecs_available:
            decoder = cast("AudioCodecContext", self._av.CodecContext.create(better, "r"))
            decoder.sample_rate = self.samplerate
            decoder.layout = self._layout
        for packet in self._packets(stream):
            for frame in self._frames(packet, decoder):
                yield from self._converted(frame)
        if self._resampler is not None:
            yield from self._converted(None)

    def _converted(self, frame: AudioFrame | None) -> Iterator[Floats]:
        """A frame at the rate and with the channels of the beginning, interleaved; None: what is left."""
        blocks: list[Any] = []
        if frame is not None:
            found = frame.format.name, frame.layout.name, frame.sample_rate
            if found != self._format:
                if self._resampler is not None:
                    blocks += self._resampler.resample(None)
                self._format = found
                self._resampler = self._av.AudioResampler("flt", frame.layout, self.samplerate)
        blocks += self._resampler.resample(frame)
        for block in blocks:
            samples = np.asarray(block.to_ndarray(), np.float32).reshape(-1, block.layout.nb_channels)
            if samples.shape[1] != self.channels:
                samples = spread_over(mixed(samples), self.channels)
            self._decoded_frames += len(samples)
            yield samples

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> Floats:
        """The next frames.

        Args:
            frames: how many at most.
            dtype: ignored; the result is float32.
            always_2d: ignored; the result has two axes.

        Returns:
            Shape (n, channels); none at the end.
        """
        blocks, there = [self._left], len(self._left)
        try:
            while there < frames and (block := next(self._blocks, None)) is not None:
                blocks.append(block)
                there += len(block)
        except (self._av.FFmpegError, ValueError) as error:
            raise NotAudio(path=self._path, reason=DAMAGE) from error
        joined = np.concatenate(blocks)
        self._left = joined[frames:]
        read = joined[:frames]
        self._done += len(read)
        done_s = self._done / self.samplerate
        if not len(read) and done_s < self._promised_s - TOLERANCE_S:
            self.flaw = self.flaw or breaks_off(float(self._promised_s), done_s)
        return read


@contextmanager
def _bounded(most_bytes: int) -> Iterator[None]:
    """Bound the memory that this process may take meanwhile; FFmpeg then reports that it has none.

    The limit concerns the whole process. Where it has other threads, as no classifying worker has, there is
    no limit: the other threads would be out of memory too, and two that opened at once left the limit behind
    for good.
    """
    if threading.active_count() > 1:
        yield
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + most_bytes
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    within = limit if soft == resource.RLIM_INFINITY else min(soft, limit)
    resource.setrlimit(resource.RLIMIT_AS, (within, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
