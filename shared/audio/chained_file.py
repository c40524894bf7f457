"""Several recordings that were joined in one file, read as one recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import soxr

from shared.audio.arrays import Floats
from shared.audio.audio_files import AudioFile
from shared.audio.channels import mixed, spread_over
from shared.audio.flaws import one_of
from shared.audio.links import Link
from shared.core.errors.recordings import ClipError

# Hz, of links behind the first, which is checked with the whole: below the lowest no voice is left (and the
# resampler takes 195 MB for 1 Hz), and nobody records above the highest.
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
FEWEST_FRAMES = 64  # of a link that are converted at once


class ChainedFile:
    """Several links as one recording, with the sampling rate and channels of the first.

    The other links are resampled, and their channels are mixed or repeated. A link that cannot be read is
    left out and noted as a flaw.
    """

    def __init__(self, links: Sequence[Link], open_link: Callable[[Link], AudioFile]) -> None:
        """Open each link once to add up their lengths.

        Args:
            links: the recordings.
            open_link: opens one of them; raises a ClipError where it cannot be read.

        Raises:
            ClipError: no link can be read; that of the first.
        """
        self._links, self._open = links, open_link
        self.flaw: str | None = None
        self.samplerate = self.channels = self.frames = 0
        durations_s = 0.0
        failure: ClipError | None = None
        for link in links:
            try:
                with self._open(link) as file:
                    if not self.channels:
                        self.samplerate, self.channels = file.samplerate, file.channels
                    durations_s += file.frames / max(file.samplerate, 1)
            except ClipError as error:
                failure = failure or error
        if failure is not None and not self.channels:
            raise failure
        self.frames = round(durations_s * self.samplerate)
        self._number = 0
        self._file: AudioFile | None = None
        self._resampler: soxr.ResampleStream | None = None
        self._held = np.empty((0, self.channels), np.float32)  # converted, but not yet read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the current link."""
        if self._file is not None:
            self._file.close()

    def _note(self, flaw: str) -> None:
        self.flaw = self.flaw or one_of(len(self._links), flaw)

    def read(self, frames: int) -> Floats:
        """The next frames, shape (n, channels), at most `frames` of them; none at the end."""
        while not len(self._held) and (self._file is not None or self._number < len(self._links)):
            if self._file is not None or self._begin():
                self._held = self._next(frames)
        block, self._held = self._held[:frames], self._held[frames:]
        return block

    def _begin(self) -> bool:
        """Open the next link; false if it cannot be read."""
        link = self._links[self._number]
        self._number += 1
        try:
            file = self._open(link)
        except ClipError as error:
            self._note(str(error))
            return False
        if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
            self._note(f"its header claims {file.samplerate:,} Hz")
            file.close()
            return False
        self._file = file
        self._resampler = None
        if file.samplerate != self.samplerate:
            self._resampler = soxr.ResampleStream(
                file.samplerate, self.samplerate, self.channels, dtype="float32", quality="HQ"
            )
        return True

    def _next(self, frames: int) -> Floats:
        """Some frames of the current link, converted, shape (n, channels), n >= 0. Closes it at its end."""
        file = self._file
        assert file is not None  # noqa: S101
        ended = False
        # As much of it as becomes that many frames: a link of 1 kHz would become hundreds of times as many.
        wanted = max(FEWEST_FRAMES, min(frames, frames * file.samplerate // self.samplerate))
        try:
            block = file.read(wanted)
        except ClipError as error:
            self._note(str(error))
            block = np.empty((0, file.channels), np.float32)
        if not len(block):
            ended = True
            if file.flaw is not None:
                self._note(file.flaw)
        if block.shape[1] != self.channels:
            block = (
                spread_over(mixed(block), self.channels)
                if len(block)
                else np.empty((0, self.channels), np.float32)
            )
        if self._resampler is not None:
            block = self._resampler.resample_chunk(np.ascontiguousarray(block), last=ended)
        if ended:
            file.close()
            self._file = None
        return block
