"""Open the bytes of an upload as a recording: by libsndfile, or by FFmpeg where libsndfile cannot read it.

The container is recognised by its content, never by its name.
"""

from __future__ import annotations

import soundfile

from shared.audio.audio_files import AudioFile, SoundFileReader
from shared.audio.chained_file import ChainedFile
from shared.audio.chained_streams import FLAC_MAGIC, OGG_MAGIC, flac_links, ogg_links
from shared.audio.ffmpeg import FfmpegFile
from shared.audio.ffmpeg_formats import kind_of
from shared.audio.file_kinds import HEAD_BYTES, non_recording
from shared.audio.links import MOST_LINKS, Link
from shared.audio.mpeg import mp3_links
from shared.audio.seekable_files import SeekableFile, WatchedFile
from shared.audio.waves import is_wave, wave_links
from shared.core.errors.recordings import NeedsAv, NotARecording, NotAudio, UnreadCodec

# MIDI's sample dumps hold no speech; of a damaged one of 173 bytes libsndfile printed 11,000 lines.
SAMPLE_DUMP = "SDS"
# libsndfile's words for these two mislead ("File does not exist … (possibly a pipe?)" for a cut MP3).
REASONS = {1: "its content is of no known audio format", 7: "it breaks off within its header"}


def opened(source: WatchedFile, path: str, *, whole: bool) -> AudioFile:
    """Open a recording.

    Args:
        source: its bytes.
        path: its name, for the errors.
        whole: whether all of it will be read, so that it is searched through where a header may be wrong.

    Raises:
        NotARecording: it is a file of another kind.
        NotAudio: it is damaged or of an unknown kind.
        NeedsAv: it takes FFmpeg, which is not installed.
        UnreadCodec: its codec is not read.
    """
    head = source.read(HEAD_BYTES)
    source.seek(0)
    what = non_recording(head)
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
        return ChainedFile(links, lambda link: _reopened(link, path, whole))
    return _linked(links[0], path, source, head, whole)


def _behind_id3(source: SeekableFile, head: bytes) -> bytes:
    """The first bytes behind an ID3 tag, which some writers put before AAC."""
    if not head.startswith(b"ID3"):
        return head
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
    source.seek(10 + size)
    behind = source.read(HEAD_BYTES)
    source.seek(0)
    return behind if kind_of(behind) else head


def _links(source: SeekableFile, head: bytes, whole: bool) -> list[Link]:
    if is_wave(head):
        return wave_links(source, MOST_LINKS)
    if head.startswith(OGG_MAGIC):
        return ogg_links(source, MOST_LINKS)
    if head.startswith(FLAC_MAGIC) and whole:
        return flac_links(source, MOST_LINKS)
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return mp3_links(source, MOST_LINKS)
    return [Link(source)]


def _reopened(link: Link, path: str, whole: bool) -> AudioFile:
    """Open one link of several, by its own first bytes."""
    link.file.seek(0)
    head = link.file.read(HEAD_BYTES)
    link.file.seek(0)
    return _linked(link, path, link.file, head, whole)


def _linked(link: Link, path: str, source: SeekableFile, head: bytes, whole: bool) -> AudioFile:
    """Open a link by libsndfile, else the file as it was sent by FFmpeg."""
    try:
        file = SoundFileReader(link, path)
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
        if (what := non_recording(head)) is not None:
            raise NotARecording(path=path, what=what) from error
        raise NotAudio(path=path, reason=reason) from error


def _reason(error: soundfile.LibsndfileError) -> str:
    said = error.error_string.strip().rstrip(".")
    return REASONS.get(error.code, f"its header is damaged ({said})")
