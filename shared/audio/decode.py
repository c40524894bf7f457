"""From the bytes of a recording to samples, as librosa.load gives them, within bounds.

The container is told by its content, never by its name. Nothing is allocated by what a header claims:
samples are read in blocks and downmixed block by block, so a decode holds little more than its result, and
a stream no more than a block.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Self, cast

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from shared.audio.ffmpeg import DAMAGE, HEAD_BYTES, FfmpegFile, format_of
from shared.audio.waves import mended
from shared.audio.windows import MINIMUM_S
from shared.errors.recordings import (
    ClipError,
    Empty,
    NotAudio,
    NotFinite,
    TooShort,
    UnlikelyHeader,
    Unreadable,
)
from shared.settings import Settings

SILENT_PEAK = 1e-4  # real quiet speakers peak at 0.006
LOUDEST_PEAK = 2.0**31  # integers of 32 bits written as floats; far above, float32 features overflow
BLOCK_SAMPLES = 2**18  # over all channels: 1 MiB of float32, also for 64 channels
# Of a stream: of what is damaged on the way, the block in which it shows is lost, 4 s of 16 kHz mono.
STREAM_SAMPLES = 2**16
LOWEST_RATE = 1000  # Hz; below it no voice is left, and the resampler takes 195 MB for 1 Hz
# MIDI's sample dumps hold no speech; of a damaged one of 173 bytes libsndfile printed 11,000 lines.
SAMPLE_DUMP = "SDS"
# libsndfile's words for these two mislead ("File does not exist … (possibly a pipe?)" for a cut MP3).
REASONS = {1: "its content is of no known audio format", 7: "it breaks off within its header"}


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What no honest header exceeds.

    max_sampling_rate: Hz; max_channels: channels; max_windows: heard of a recording, over all channels.
    """

    max_sampling_rate: int
    max_channels: int
    max_windows: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The limits that the settings give."""
        return cls(settings.max_sampling_rate, settings.max_channels, settings.max_windows)


@dataclass(frozen=True, slots=True)
class Recording:
    """What was decoded of one recording.

    samples: float32, shape (n,), mono; duration_s: of the whole file, in seconds;
    peak: largest absolute sample of what was decoded, over all channels, full scale = 1.
    """

    samples: NDArray[np.float32]
    duration_s: float
    peak: float

    @property
    def is_silent(self) -> bool:
        """Whether nobody can be heard in it."""
        return self.peak < SILENT_PEAK


def decode(
    source: bytes | BinaryIO, path: str, *, sampling_rate: int, seconds: float | None, limits: DecodeLimits
) -> Recording:
    """Decode the first `seconds` of a recording (None: all of it) to mono at `sampling_rate` Hz.

    As librosa.load(sr=sampling_rate, duration=seconds) does: frames at the native rate, the mean of
    the channels, soxr's HQ resampler. A file-like source is read as far as needed, not more.

    Raises a ClipError that names `path` for whatever is wrong with the recording: NotAudio, Empty, TooShort,
    NotFinite, UnlikelyHeader, NeedsAv, Unreadable. What the source raises is no fault of the recording (a
    store that is gone, a lost lease) and is raised as it is.
    """
    watched = _WatchedSource(source)
    with _translated(watched, path), _opened(watched, path) as file:
        native_rate = file.samplerate
        duration_s = _checked_duration(file, path, limits)
        samples, peak = _read(file, path, None if seconds is None else int(seconds * native_rate))
        if native_rate != sampling_rate:
            samples = soxr.resample(samples, native_rate, sampling_rate, quality="HQ")
    return Recording(samples, duration_s, peak)


class Stream:
    """A recording that is decoded block by block, once; memory does not grow with its length.

    claimed_s: its length in seconds by its header; duration_s: the same, and behind the last block of all of
    it, what was really there. The samples are those of `decode` before it takes the mean of the channels: the
    resampler's state goes from block to block.

    Raises what `decode` raises, when it is made and while its blocks are taken. But where all of a recording
    is wanted and it is damaged on the way, what comes before is all that there is (if that is 0.1 s or more).
    """

    def __init__(
        self,
        source: bytes | BinaryIO,
        path: str,
        *,
        sampling_rate: int,
        seconds: float | None,
        limits: DecodeLimits,
    ) -> None:
        self._watched = _WatchedSource(source)
        self._path = path
        self.sampling_rate = sampling_rate
        self._seconds = seconds
        with _translated(self._watched, path):
            self._file = _opened(self._watched, path)
            self.claimed_s = self.duration_s = _checked_duration(self._file, path, limits)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Samples at `sampling_rate`, float32, shape (n, channels), n > 0; of the first `seconds`, or all."""
        with _translated(self._watched, self._path), self._file as file:
            resampler = soxr.ResampleStream(
                file.samplerate, self.sampling_rate, file.channels, dtype="float32", quality="HQ"
            )
            frames = None if self._seconds is None else int(self._seconds * file.samplerate)
            block_frames = STREAM_SAMPLES // file.channels
            done = 0
            try:
                for block, _ in _blocks(file, self._path, frames, block_frames):
                    done += len(block)
                    if len(resampled := resampler.resample_chunk(block)):
                        yield resampled
            except NotAudio:
                is_enough = self._seconds is None and done >= MINIMUM_S * file.samplerate
                if not is_enough or self._watched.failure is not None:
                    raise
            if self._seconds is None:
                self.duration_s = done / file.samplerate
            if len(rest := resampler.resample_chunk(np.empty((0, file.channels), np.float32), last=True)):
                yield rest


@contextmanager
def _translated(source: _WatchedSource, path: str) -> Iterator[None]:
    """Whatever goes wrong with a recording as a ClipError; what its source raised as it is."""
    try:
        yield
    except ClipError:
        raise
    except soundfile.LibsndfileError as error:
        raise NotAudio(path=path, reason=_reason(error)) from error
    except Exception as error:
        raise Unreadable(path=path, reason=error) from error
    finally:  # libsndfile took a failure of the source for the end of the file
        if source.failure is not None:
            raise source.failure


def _opened(source: _WatchedSource, path: str) -> soundfile.SoundFile | FfmpegFile:
    head = source.read(HEAD_BYTES)
    source.seek(0)
    if (kind := format_of(head)) is not None:
        return FfmpegFile(cast("BinaryIO", source), kind, path)
    file = _Forward(mended(source))
    if file.format == SAMPLE_DUMP:
        file.close()
        raise NotAudio(path=path, reason=REASONS[1])
    return file


def _checked_duration(file: soundfile.SoundFile | FfmpegFile, path: str, limits: DecodeLimits) -> float:
    if not LOWEST_RATE <= file.samplerate <= limits.max_sampling_rate:
        raise UnlikelyHeader(path=path, claim=f"{file.samplerate:,} Hz")
    if not 0 < file.channels <= limits.max_channels:
        raise UnlikelyHeader(path=path, claim=f"{file.channels:,} channels")
    if file.frames == 0:
        raise Empty(path=path)
    duration_s = float(file.frames / file.samplerate)
    if duration_s < MINIMUM_S:
        raise TooShort(path=path, duration_s=duration_s, minimum_s=MINIMUM_S)
    return duration_s


def _read(
    file: soundfile.SoundFile | FfmpegFile, path: str, frames: int | None
) -> tuple[NDArray[np.float32], float]:
    """The first `frames` frames (None: all) as mono samples, and the peak over all channels."""
    blocks: list[NDArray[np.float32]] = []
    peak = 0.0
    for block, block_peak in _blocks(file, path, frames, BLOCK_SAMPLES // file.channels):
        peak = max(peak, block_peak)
        blocks.append(block[:, 0] if file.channels == 1 else block.mean(axis=1))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), peak


def _blocks(
    file: soundfile.SoundFile | FfmpegFile, path: str, frames: int | None, block_frames: int
) -> Iterator[tuple[NDArray[np.float32], float]]:
    """The first `frames` frames (None: all) at the native rate, (n, channels) each; and their peaks."""
    wanted = file.frames if frames is None else min(frames, file.frames)
    done = 0
    while done < wanted:
        try:
            block = file.read(min(block_frames, wanted - done), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise NotAudio(path=path, reason=DAMAGE) from error
        if len(block) == 0:  # the header promised more than there is
            break
        block_peak = float(np.abs(block).max())
        if not np.isfinite(block_peak):
            first = done + int(np.argmax(~np.isfinite(block).all(axis=1)))
            raise NotFinite(path=path, at_s=first / file.samplerate)
        if block_peak > LOUDEST_PEAK:
            raise UnlikelyHeader(path=path, claim=f"a peak of {block_peak:.0e} times full scale")
        yield block, block_peak
        done += len(block)
    if done < min(wanted, MINIMUM_S * file.samplerate):
        raise NotAudio(path=path, reason=DAMAGE)


def _reason(error: soundfile.LibsndfileError) -> str:
    said = error.error_string.strip().rstrip(".")
    return REASONS.get(error.code, f"its header is damaged ({said})")


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """A recording that is read from front to back.

    soundfile has libsndfile seek to where it already is before and after each read, for files that are
    written as well: a tenth of the time of a FLAC of 3.6 s.
    """

    def seekable(self) -> bool:
        return False


class _WatchedSource:
    """A file for libsndfile's callbacks, which can neither raise nor take short reads.

    It has no `name`, by which soundfile would take a file named .raw for headerless samples.
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
