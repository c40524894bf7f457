"""Errors of uploads."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError
from voxmood.errors import UnknownEncoding as UnknownEncoding


class UploadError(VoxmoodError):
    """{name} could not be unpacked."""


class EmptyUpload(UploadError):
    """{name} has no bytes."""


class EmptyArchive(UploadError):
    """{name} holds no recordings: nothing but folders and system files was found in it."""


class UnknownArchive(UploadError):
    """{name} is {kind}, which is not accepted. Send a zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst
    archive, or a single recording.
    """


class SplitArchive(UploadError):
    """{name} is part of a split archive: join the parts and send the whole. (`zip -s 0 parts.zip --out
    whole.zip` joins .z01, .z02 and .zip; `cat` joins .zip.001, .zip.002 and so on.)
    """


class NamesGuessed(UploadError):
    """{name} does not say how its names are encoded; they were read as cp437, as the format prescribes
    ({path}). If they look wrong, send it again with `voxmood submit --encoding cp932` (Japanese; gbk:
    Chinese, cp866: Russian).
    """


class DamagedArchive(UploadError):
    """{name} is damaged: {reason}. {kept} recordings before the damage were kept."""


class TooManyMembers(UploadError):
    """{name} has over {limit} members (VOXMOOD_MAX_MEMBERS); send it as several archives. {kept}
    recordings before that were kept.
    """


class DirectoryTooLarge(UploadError):
    """{name} has a directory of over {limit_bytes} bytes (VOXMOOD_MAX_DIRECTORY_BYTES); send it as several
    archives.
    """


class WindowTooLarge(UploadError):
    """{name} takes over {limit_bytes} bytes of memory to unpack (VOXMOOD_MAX_WINDOW_BYTES); pack it again
    with a smaller window, as `xz -9` or `zstd -19` do. {kept} recordings before that were kept.
    """


class UnpackedTooLarge(UploadError):
    """{name} unpacks to over {limit_bytes} bytes (VOXMOOD_MAX_UNPACKED_BYTES); send it as several archives.
    {kept} recordings before that were kept.
    """


class UnlikelyRatio(UploadError):
    """{name} unpacks to over {ratio} times its size (VOXMOOD_MAX_UNPACK_RATIO), as archives built to do harm
    do. {kept} recordings before that were kept.
    """


class UnpackTooLong(UploadError):
    """{name} took over {limit_s:g} s to unpack (VOXMOOD_MAX_UNPACK_S); send it as several archives. {kept}
    recordings before that were kept.
    """


class OverlappingMembers(UploadError):
    """{name} has members that overlap ({path}), as archives built to do harm have; it is refused."""


class UnpackFailed(UploadError):
    """{name} could not be unpacked, though it was tried again and again: {reason}."""


class UploadAbandoned(UploadError):
    """{name} received nothing for {minutes} minutes and was given up; send it in a new job."""


class UploadTooLarge(UploadError):
    """{name} has over {limit_bytes} bytes, the most an upload may have (VOXMOOD_MAX_UPLOAD_BYTES)."""
