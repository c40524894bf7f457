"""An upload's bytes as an open recording: by libsndfile where it reads them to their end, else by FFmpeg.

The container is told by its content, never by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from shared.audio.chained import MAGIC as OGG_MAGIC
from shared.audio.chained import ogg_links
from shared.audio.channels import mixed, spread_over
from shared.audio.ffmpeg import FfmpegFile, kind_of
from shared.audio.file_kinds import HEAD_BYTES, what_is
from shared.audio.flacs import MAGIC as FLAC_MAGIC
from shared.audio.flacs import flac_links
from shared.audio.flaws import DAMAGE, breaks_off, damaged_at, one_of
from shared.audio.links import MOST_LINKS, Link
from shared.audio.mpeg import mp3_links
from shared.audio.seekable_files import Source, WatchedSource
from shared.audio.waves import is_wave, wave_links
from shared.core.errors.recordings import ClipError, NeedsAv, NotARecording, NotAudio, UnreadCodec

Floats = NDArray[np.float32]
# MIDI's sample dumps hold no speech; of a damaged one of 173 bytes libsndfile printed 11,000 lines.
SAMPLE_DUMP = "SDS"
# libsndfile's words for these two mislead ("File does not exist … (possibly a pipe?)" for a cut MP3).
REASONS = {1: "its content is of no known audio format", 7: "it breaks off within its header"}
SHORT_S = 0.05  # of a recording that its header makes longer; less is a matter of rounding
SKIPPED_FRAMES = 2**16
# Hz, of links behind the first, which is checked with the whole: below the lowest no voice is left (and the
# resampler takes 195 MB for 1 Hz), and nobody records above the highest.
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
FEWEST_FRAMES = 64  # of a link that are converted at once


class AudioFile(Protocol):
    """An open recording. samplerate: Hz; frames: how many there are, as far as is known before they are read;
    flaw: behind the last of them, or where it was seen, why not all was heard.
    """

    samplerate: int
    channels: int
    frames: int
    flaw: str | None

    def read(self, frames: int) -> Floats:
        """Up to so many frames, (n, channels); none at the end."""
        ...

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def opened(source: WatchedSource, path: str, *, whole: bool) -> AudioFile:
    """Open a recording; whole: to read all of it, so that it is looked through where a header may be wrong.

    Raises NotARecording, NotAudio, NeedsAv or UnreadCodec.
    """
    head = source.read(HEAD_BYTES)
    source.seek(0)
    what = what_is(head)
    if what is not None and (not head or kind_of(head) is not None):
        raise NotARecording(path=path, what=what)
    if (kind := kind_of(_behind_id3(source, head))) is not None:
        try:
            return FfmpegFile(source, path, whole=whole, kind=kind)
        except NotAudio as error:
            if what is None:
                raise
            raise NotARecording(path=path, what=what) from error
    links = _links(source, head, whole)
    if len(links) > MOST_LINKS:
        raise NotAudio(path=path, reason=f"over {MOST_LINKS:,} recordings are joined in it")
    if len(links) > 1:
        return _Chain(links, path, whole)
    return _linked(links[0], path, source, head, whole)


def _behind_id3(source: Source, head: bytes) -> bytes:
    """A file's first bytes behind the ID3 tag that some writers put before AAC, and its padding."""
    if not head.startswith(b"ID3"):
        return head
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
    source.seek(10 + size)
    behind = source.read(HEAD_BYTES)
    source.seek(0)
    return behind if kind_of(behind) else head


def _links(source: Source, head: bytes, whole: bool) -> list[Link]:
    if is_wave(head):
        return wave_links(source, MOST_LINKS)
    if head.startswith(OGG_MAGIC):
        return ogg_links(source, MOST_LINKS)
    if head.startswith(FLAC_MAGIC) and whole:
        return flac_links(source, MOST_LINKS)
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return mp3_links(source, MOST_LINKS)
    return [Link(source)]


def _linked(link: Link, path: str, source: Source, head: bytes, whole: bool) -> AudioFile:
    """A link by libsndfile, else (the file as it was sent) by FFmpeg; or what it is, if it is neither."""
    try:
        file = _SoundFile(link, path)
    except soundfile.LibsndfileError as error:
        reason = _reason(error)
    else:
        if file.format != SAMPLE_DUMP:
            return file
        file.close()
        reason = REASONS[1]
    try:
        return FfmpegFile(source, path, whole=whole)
    except UnreadCodec:
        raise
    except (NeedsAv, NotAudio) as error:
        if (what := what_is(head)) is not None:
            raise NotARecording(path=path, what=what) from error
        raise NotAudio(path=path, reason=reason) from error


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


class _SoundFile:
    """A link that libsndfile reads; from where that finds damage on, FFmpeg does, which goes on behind it."""

    def __init__(self, link: Link, path: str) -> None:
        self._link, self._path = link, path
        self._file = _Forward(link.file)
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
        self._file.close()
        if self._rest is not None:
            self._rest.close()

    def read(self, frames: int) -> Floats:
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
            self._look_back()
        return block

    def _behind_damage(self, error: soundfile.LibsndfileError) -> FfmpegFile:
        """FFmpeg, behind what was read already."""
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

    def _look_back(self) -> None:
        """At the end: is that all that was promised?"""
        done_s = self._done / self.samplerate
        promised_s = self._link.promised_s or self.frames / self.samplerate
        self.flaw = self.flaw or self._link.flaw
        if self.flaw is None and done_s < promised_s - SHORT_S:
            self.flaw = breaks_off(promised_s, done_s)


class _Chain:
    """Several links as one recording, at the rate and with the channels of the first.

    What another link has is resampled, and its channels are mixed or repeated. A link that cannot be read is
    left out, and noted as a flaw.
    """

    def __init__(self, links: Sequence[Link], path: str, whole: bool) -> None:
        self._links, self._path, self._whole = links, path, whole
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
        self._held = np.empty((0, self.channels), np.float32)  # converted, and more than was asked for

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self, link: Link) -> AudioFile:
        link.file.seek(0)
        head = link.file.read(HEAD_BYTES)
        link.file.seek(0)
        return _linked(link, self._path, link.file, head, self._whole)

    def _note(self, flaw: str) -> None:
        self.flaw = self.flaw or one_of(len(self._links), flaw)

    def read(self, frames: int) -> Floats:
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
        """Some of the link at hand, converted, (n, channels); n may be 0. At its end it is closed."""
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
