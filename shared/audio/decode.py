"""From the bytes of a recording to samples as librosa.load gives them, within bounds.

Nothing is allocated on the word of a header: samples are read and mixed block by block. So decoding holds
little more than its result, and a stream no more than a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from shared.audio.arrays import Floats
from shared.audio.audio_files import AudioFile
from shared.audio.chained_file import LOWEST_RATE
from shared.audio.channels import mixed
from shared.audio.flaws import DAMAGE
from shared.audio.limits import DecodeLimits
from shared.audio.opening import opened
from shared.audio.seekable_files import WatchedFile
from shared.audio.windows import MINIMUM_S
from shared.core.errors.recordings import (
    ClipError,
    Empty,
    NotAudio,
    NotFinite,
    TooShort,
    UnlikelyHeader,
    Unreadable,
)

SILENT_PEAK = 1e-4  # real quiet speakers peak at 0.006
LOUDEST_PEAK = 2.0**31  # integers of 32 bits written as floats; far above, float32 features overflow
BLOCK_SAMPLES = 2**18  # over all channels: 1 MiB of float32, also for 64 channels
STREAM_SAMPLES = 2**16


@dataclass(frozen=True, slots=True)
class Recording:
    """What was decoded of one recording.

    Attributes:
        samples: mono, float32, shape (n,).
        duration_s: of the whole recording, in seconds: what was decoded, or what its header says where only a
            part was wanted.
        peak: the largest absolute sample that was decoded, over all channels; full scale is 1.
        flaw: why less was decoded than wanted; None if nothing is missing.
    """

    samples: Floats
    duration_s: float
    peak: float
    flaw: str | None = None

    @property
    def is_silent(self) -> bool:
        """Whether it is too quiet for a voice."""
        return self.peak < SILENT_PEAK


def decode(
    source: bytes | BinaryIO, path: str, *, sampling_rate: int, seconds: float | None, limits: DecodeLimits
) -> Recording:
    """Decode a recording to mono.

    As librosa.load(sr=sampling_rate, duration=seconds) does it: frames at the native rate, the mean of the
    channels (but see `channels.mixed`), soxr's HQ resampler. A file-like source is read as far as needed and
    no further. What the source raises is not the fault of the recording (a store that is gone, a lost lease)
    and is raised as it is.

    Args:
        source: its bytes, or a seekable file.
        path: of the recording, for the errors.
        sampling_rate: of the result, in Hz.
        seconds: how much is decoded from the beginning; None: all.
        limits: what its header may claim.

    Raises:
        ClipError: there is something wrong with the recording: NotAudio, NotARecording, UnreadCodec, Empty,
            TooShort, NotFinite, UnlikelyHeader, NeedsAv or Unreadable.
    """
    watched = WatchedFile(source)
    with _translated(watched, path), opened(watched, path, whole=seconds is None) as file:
        native_rate = file.samplerate
        duration_s = _checked_duration(file, path, limits)
        frames = None if seconds is None else int(seconds * native_rate)
        samples, peak, flaw = _read(file, path, frames)
        if frames is None or len(samples) < frames:  # its end was reached
            duration_s = len(samples) / native_rate
        if native_rate != sampling_rate:
            samples = soxr.resample(samples, native_rate, sampling_rate, quality="HQ")
    return Recording(samples, duration_s, peak, flaw)


class Stream:
    """A recording that is decoded once, block by block, in memory that does not grow with its length.

    The samples are those of `decode` before the channels are mixed: the resampler keeps its state from block
    to block.

    Attributes:
        sampling_rate: of the blocks, in Hz.
        claimed_s: its length in seconds as far as it is known before decoding.
        duration_s: the same; after the last block of all of it, its true length.
        flaw: after the last block, why less was decoded than wanted.
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
        """Open a recording; arguments and errors are those of `decode`."""
        self._watched = WatchedFile(source)
        self._path = path
        self.sampling_rate = sampling_rate
        self._seconds = seconds
        self.flaw: str | None = None
        with _translated(self._watched, path):
            self._file = opened(self._watched, path, whole=seconds is None)
            self.claimed_s = self.duration_s = _checked_duration(self._file, path, limits)

    def blocks(self) -> Iterator[Floats]:
        """Decode the recording, or its first `seconds`.

        Where all of it is wanted and it is damaged on the way, it ends before the damage, provided that 0.1 s
        or more come before it.

        Yields:
            Samples at `sampling_rate`, float32, shape (n, channels), n > 0.

        Raises:
            ClipError: as `decode` raises it.
        """
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
            self.flaw = file.flaw
            if frames is None or done < frames:  # its end was reached
                self.duration_s = done / file.samplerate
            if len(rest := resampler.resample_chunk(np.empty((0, file.channels), np.float32), last=True)):
                yield rest


@contextmanager
def _translated(source: WatchedFile, path: str) -> Iterator[None]:
    """Raise whatever goes wrong with a recording as a ClipError, and what its source raised as it is."""
    try:
        yield
    except ClipError:
        raise
    except soundfile.LibsndfileError as error:
        raise NotAudio(path=path, reason=DAMAGE) from error
    except Exception as error:
        raise Unreadable(path=path, reason=error) from error
    finally:  # a decoder took a failure of the source for the end of the file
        if source.failure is not None:
            raise source.failure


def _checked_duration(file: AudioFile, path: str, limits: DecodeLimits) -> float:
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


def _read(file: AudioFile, path: str, frames: int | None) -> tuple[Floats, float, str | None]:
    """Read frames.

    Args:
        file: the open recording.
        path: of the recording, for the errors.
        frames: how many are read from the beginning; None: all.

    Returns:
        Mono samples, the peak over all channels, and the flaw.
    """
    blocks: list[Floats] = []
    peak = 0.0
    for block, block_peak in _blocks(file, path, frames, BLOCK_SAMPLES // file.channels):
        peak = max(peak, block_peak)
        blocks.append(mixed(block))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), peak, file.flaw


def _blocks(
    file: AudioFile, path: str, frames: int | None, block_frames: int
) -> Iterator[tuple[Floats, float]]:
    """Blocks (n, channels) at the native rate with their peaks, up to `frames` frames (None: all)."""
    done = 0
    while frames is None or done < frames:
        block = file.read(block_frames if frames is None else min(block_frames, frames - done))
        if len(block) == 0:
            break
        block_peak = float(np.abs(block).max())
        if not np.isfinite(block_peak):
            first = done + int(np.argmax(~np.isfinite(block).all(axis=1)))
            raise NotFinite(path=path, at_s=first / file.samplerate)
        if block_peak > LOUDEST_PEAK:
            raise UnlikelyHeader(path=path, claim=f"a peak of {block_peak:.0e} times full scale")
        yield block, block_peak
        done += len(block)
    if done < MINIMUM_S * file.samplerate:
        raise NotAudio(path=path, reason=DAMAGE)
