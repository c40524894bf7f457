"""Open recordings: what all readers have in common, and the reader by libsndfile."""

from __future__ import annotations

from typing import Protocol, Self

import soundfile

from shared.audio.arrays import Floats
from shared.audio.ffmpeg import FfmpegFile
from shared.audio.flaws import DAMAGE, breaks_off, damaged_at
from shared.audio.links import Link
from shared.core.errors.recordings import ClipError, NotAudio

SHORT_S = 0.05  # of a recording that its header makes longer; less is a matter of rounding
SKIPPED_FRAMES = 2**16


class AudioFile(Protocol):
    """An open recording.

    Attributes:
        samplerate: in Hz.
        channels: how many it has.
        frames: how many it has, as far as is known before they are read.
        flaw: why not all could be decoded; known when it is met, and for sure after the last frame.
    """

    samplerate: int
    channels: int
    frames: int
    flaw: str | None

    def read(self, frames: int) -> Floats:
        """The next frames, shape (n, channels), at most `frames` of them; none at the end."""
        ...

    def close(self) -> None:
        """Close the recording; what it was opened from stays open."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """A libsndfile recording that is read from front to back.

    Of a seekable file, soundfile makes libsndfile seek to its own place before and after each read: a tenth
    of the time for a FLAC of 3.6 s.
    """

    def seekable(self) -> bool:
        return False


class SoundFileReader:
    """A recording that libsndfile reads; behind the first damage FFmpeg reads it."""

    def __init__(self, link: Link, path: str) -> None:
        """Open a recording.

        Args:
            link: where it lies in its file.
            path: of the file, for the errors.
        """
        self._link, self._path = link, path
        self._file = _ForwardSoundFile(link.file)
        self._rest: FfmpegFile | None = None
        self._done = 0
        self.flaw: str | None = None
        self.format: str = self._file.format
        self.samplerate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.frames = int(self._file.frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both readers."""
        self._file.close()
        if self._rest is not None:
            self._rest.close()

    def read(self, frames: int) -> Floats:
        """The next frames, shape (n, channels), at most `frames` of them; none at the end."""
        if self._rest is None:
            try:
                block: Floats = self._file.read(
                    min(frames, self.frames - self._done), "float32", always_2d=True
                )
            except soundfile.LibsndfileError as error:
                self.flaw = damaged_at(self._done / self.samplerate)  # or within the block
                self._rest = self._behind_damage(error)
        if self._rest is not None:
            block = self._rest.read(frames)
            self.flaw = self._rest.flaw or self.flaw
        self._done += len(block)
        if not len(block):
            self._check_length()
        return block

    def _behind_damage(self, error: soundfile.LibsndfileError) -> FfmpegFile:
        """Open the recording with FFmpeg and skip what has been read already."""
        try:
            rest = FfmpegFile(self._link.file, self._path, whole=False)
        except ClipError as failure:
            raise NotAudio(path=self._path, reason=DAMAGE) from failure
        if (rest.samplerate, rest.channels) != (self.samplerate, self.channels):
            rest.close()
            raise NotAudio(path=self._path, reason=DAMAGE) from error
        skipped = 0
        while skipped < self._done and len(some := rest.read(min(SKIPPED_FRAMES, self._done - skipped))):
            skipped += len(some)
        return rest

    def _check_length(self) -> None:
        """Note a flaw if the recording ends before its stated length."""
        done_s = self._done / self.samplerate
        promised_s = self._link.promised_s or self.frames / self.samplerate
        self.flaw = self.flaw or self._link.flaw
        if self.flaw is None and done_s < promised_s - SHORT_S:
            self.flaw = breaks_off(promised_s, done_s)
