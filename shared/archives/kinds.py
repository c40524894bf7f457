"""What an upload is by its first bytes, and what the names in it mean."""

from __future__ import annotations

import tarfile
from enum import Enum
from pathlib import PurePosixPath

from shared.errors.uploads import UnknownArchive

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
    LOOSE = "loose recording"


_ACCEPTED = {
    b"PK\x03\x04": Kind.ZIP,
    b"PK\x05\x06": Kind.ZIP,  # without members
    b"PK\x07\x08": Kind.ZIP,  # the first part of a split one
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


def kind_of(head: bytes, name: str) -> Kind:
    """The kind of an upload from its first 512 bytes; UnknownArchive for those that are not read."""
    for magic, kind in _ACCEPTED.items():
        if head.startswith(magic):
            return kind
    for magic, words in _REFUSED.items():
        if head.startswith(magic):
            raise UnknownArchive(name=name, kind=words)
    return Kind.TAR if _is_tar(head) else Kind.LOOSE


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[:HEAD_BYTES], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(head) >= HEAD_BYTES and not any(head)  # nothing but zeros: a tar without members
    return True


def is_litter(path: str) -> bool:
    """Whether an entry is what macOS and Windows leave in archives, and no recording."""
    *folders, name = path.replace("\\", "/").lower().split("/")
    return name.startswith("._") or name in _LITTER_FILES or not _LITTER_FOLDERS.isdisjoint(folders)


def printable(path: str) -> str:
    """A member's name as text for a column: what is not UTF-8, or NUL, is backslash-escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def extension(path: str) -> str:
    """The ending of a path if it is a plain one (`wav`), else `bin`; for names inside shards."""
    suffix = PurePosixPath(path).suffix[1:].lower()
    return suffix if suffix.isascii() and suffix.isalnum() and len(suffix) <= 8 else "bin"
