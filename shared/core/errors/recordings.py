"""Errors of one recording: they become `failed` rows."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError


class ClipError(VoxmoodError):
    """{path} could not be classified."""


class NotAudio(ClipError):
    """{path} is not readable audio: {reason}. WAV, FLAC, AIFF, OGG, Opus and MP3 are read, and with the
    extra av M4A, AAC, AMR, WMA, WebM and what else FFmpeg reads.
    """


class NotARecording(ClipError):
    """{path} is {what}."""


class UnreadCodec(ClipError):
    """{path} is coded as {codec}, which is not read. Convert it, for example to FLAC, and send that."""


class HeardInPart(ClipError):
    """{path} was heard in part: {reason}."""


class NeedsAv(ClipError):
    """{path} is {kind}, which is read where the workers have the extra av: pip install av, then
    retry the job.
    """


class Empty(ClipError):
    """{path} holds no samples."""


class TooShort(ClipError):
    """{path} lasts {duration_s:.3f} s; at least {minimum_s} s are needed."""


class NotFinite(ClipError):
    """{path} has samples that are not numbers (NaN or infinite), the first at {at_s:.3f} s."""


class UnlikelyHeader(ClipError):
    """{path} claims {claim}, which no recording has; its header is damaged."""


class Unreadable(ClipError):
    """{path} could not be read: {reason}."""


class AllButSilent(ClipError):
    """{path} is all but silent (peak {peak:.6f} of full scale); nobody is heard in it."""


class TooLarge(ClipError):
    """{path} has over {limit_bytes} bytes, the most that is read (VOXMOOD_MAX_CLIP_BYTES)."""


class Encrypted(ClipError):
    """{path} is encrypted; send the archive without a password."""


class UnsupportedCompression(ClipError):
    """{path} is compressed by method {method}, which is not read; pack it with deflate or none."""


class NestedArchive(ClipError):
    """{path} is {kind}; {advice}."""


class DamagedMember(ClipError):
    """{path} is damaged inside its archive: {reason}."""


class NotAFile(ClipError):
    """{path} lies in its archive as a {kind}, not as a plain file."""


class CrashesDecoder(ClipError):
    """{path} ended the process that read it {tries} times; it is not tried again."""


class TakesTooMuchMemory(ClipError):
    """{path} took over {limit_bytes} bytes of memory to read (VOXMOOD_TASK_MEMORY_BYTES). Raise that and
    `voxmood retry` the job, or cut it into pieces.
    """


class TooManyWindows(ClipError):
    """{path} has over {limit:,} windows, the most that are heard of a recording (VOXMOOD_MAX_WINDOWS). Choose
    a longer hop, or cut it into pieces.
    """


class LostInStore(ClipError):
    """{path} is no longer in the object store; send it again."""
