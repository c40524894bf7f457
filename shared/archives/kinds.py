"""What an upload is by its first bytes, and what the names of members mean."""

from __future__ import annotations

import re
import tarfile
from enum import Enum
from pathlib import PurePosixPath

from shared.core.errors.uploads import UnknownArchive

HEAD_BYTES = 512
_LITTER_FOLDERS = {"__macosx", ".spotlight-v100", ".trashes", ".fseventsd", "$recycle.bin", "@eadir",
                   "system volume information"}  # fmt: skip
_LITTER_FILES = {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".localized", "icon\r"}


class Kind(Enum):
    """What an upload is, by its first bytes."""

    ZIP = "zip"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_BZ2 = "tar.bz2"
    TAR_XZ = "tar.xz"
    TAR_ZST = "tar.zst"
    TAR_LZMA = "tar.lzma"
    LOOSE = "loose recording"


PACKED = {
    Kind.TAR_GZ: "a gzip file",
    Kind.TAR_BZ2: "a bzip2 file",
    Kind.TAR_XZ: "an xz file",
    Kind.TAR_ZST: "a zstd file",
    Kind.TAR_LZMA: "an LZMA file",
}
_ACCEPTED = {
    b"PK\x03\x04": Kind.ZIP,
    b"PK\x05\x06": Kind.ZIP,  # without members
    b"PK\x07\x08": Kind.ZIP,  # the first part of a split one
    b"PK00PK": Kind.ZIP,  # meant to be split, but one part was enough
    b"\x1f\x8b": Kind.TAR_GZ,
    b"BZh": Kind.TAR_BZ2,
    b"\xfd7zXZ\x00": Kind.TAR_XZ,
    b"\x28\xb5\x2f\xfd": Kind.TAR_ZST,
    **{bytes([low, 0x2A, 0x4D, 0x18]): Kind.TAR_ZST for low in range(0x50, 0x60)},  # a skippable frame first
}
_REFUSED = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"MSCF\x00\x00\x00\x00": "a cab archive",
    b"\x04\x22\x4d\x18": "an lz4 file",
    b"LZIP": "an lzip file",
    b"\x1f\x9d": "a file of the compress program",
}
_SPLIT = re.compile(r"\.(z\d\d|zip\.\d{3}|zipx?\.part\d+)$", re.ASCII | re.IGNORECASE)
_AUDIO = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"fLaC", b"OggS", b"FORM", b"ID3", b"#!AMR", b"caff",
          b"\x1aE\xdf\xa3", b".snd", b"wvpk", b"FLV", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1",
          b"\xff\xf9")  # fmt: skip


def kind_of(head: bytes, name: str) -> Kind:
    """The kind of an upload.

    Args:
        head: its first `HEAD_BYTES` bytes, or all of a shorter one.
        name: of the upload, for the error.

    Raises:
        UnknownArchive: it is an archive of a kind that is not read.
    """
    for magic, kind in _ACCEPTED.items():
        if head.startswith(magic):
            return kind
    for magic, words in _REFUSED.items():
        if head.startswith(magic):
            raise UnknownArchive(name=name, kind=words)
    if _is_lzma(head):
        return Kind.TAR_LZMA
    return Kind.TAR if is_tar(head) else Kind.LOOSE


def is_split_name(name: str) -> bool:
    """Whether a name is that of one part of a split archive (`tapes.z01`, `tapes.zip.001`)."""
    return _SPLIT.search(name) is not None


def is_known_audio(head: bytes) -> bool:
    """Whether an upload begins as the common kinds of recordings do."""
    return head.startswith(_AUDIO)


def _is_lzma(head: bytes) -> bool:
    """Whether the head is that of an `.lzma` file, a format without magic bytes.

    It must have the usual properties, a plain dictionary size and a likely size.
    """
    if len(head) < 13 or head[0] != 0x5D:
        return False
    dict_size: int = int.from_bytes(head[1:5], "little")
    size: int = int.from_bytes(head[5:13], "little")
    above = dict_size & (dict_size - 1)  # without its lowest bit
    is_plain = dict_size >= 2**12 and above in (0, 2 * (dict_size - above))  # 2**n, or 2**n + 2**(n - 1)
    return (is_plain or dict_size == 2**32 - 1) and (size == 2**64 - 1 or size < 2**38)


def is_tar(head: bytes) -> bool:
    """Whether these first 512 bytes are the header of a tar."""
    try:
        tarfile.TarInfo.frombuf(head[:HEAD_BYTES], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(head) >= HEAD_BYTES and not any(head)  # nothing but zeros: a tar without members
    return True


def is_litter(path: str) -> bool:
    """Whether an entry is a system file that macOS or Windows leaves in archives, and no recording."""
    *folders, name = path.replace("\\", "/").lower().split("/")
    return name.startswith("._") or name in _LITTER_FILES or not _LITTER_FOLDERS.isdisjoint(folders)


def printable(path: str) -> str:
    """A member's name as text for a column; NUL and bytes that are not UTF-8 become backslash escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def extension(path: str) -> str:
    """The file name extension of a path if it is a plain one (`wav`), else `bin`; for names inside shards."""
    suffix = PurePosixPath(path).suffix[1:].lower()
    return suffix if suffix.isascii() and suffix.isalnum() and len(suffix) <= 8 else "bin"
