"""Zip and tar archives as streams of members, within limits. Nothing is ever written to a disk.

A member's name is data: it becomes a column, never a path. `members` yields every entry that is no
folder and no litter, in the archive's order, each with its number; the number counts all entries, so
that it stays the same whatever is skipped.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import BinaryIO

import stream_unzip

from shared.errors import (
    ClipError,
    DamagedArchive,
    DamagedMember,
    Encrypted,
    NestedArchive,
    NotAFile,
    OverlappingMembers,
    TooManyMembers,
    UnknownArchive,
    UnsupportedCompression,
)

BLOCK_BYTES = 2**20
HEAD_BYTES = 512
_LITTER_FOLDERS = {"__macosx", ".spotlight-v100", ".trashes", ".fseventsd", "$recycle.bin", "@eadir",
                   "system volume information"}  # fmt: skip
_LITTER_FILES = {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".localized", "icon\r"}
_END_RECORD = b"PK\x05\x06"
_END_RECORD_BYTES = 22
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, struct.error)
_TAR_ERRORS = (tarfile.TarError, EOFError, OSError, zlib.error)


class Kind(Enum):
    """What an upload is, by its first bytes."""

    ZIP = "zip"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    LOOSE = "loose recording"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry. Read `chunks()` to its end before the next member; it raises ClipError.

    `error` is set where the entry cannot be read at all (encrypted, a link, …).
    """

    number: int
    path: str
    chunks: Callable[[], Iterator[bytes]]
    error: ClipError | None = None


def kind_of(head: bytes, name: str) -> Kind:
    """The kind of an upload from its first 512 bytes; UnknownArchive for those that are not read."""
    if head.startswith((b"PK\x03\x04", _END_RECORD, b"PK\x07\x08")):
        return Kind.ZIP
    if head.startswith(b"\x1f\x8b"):
        return Kind.TAR_GZ
    for magic, kind in _REFUSED.items():
        if head.startswith(magic):
            raise UnknownArchive(name=name, kind=kind)
    return Kind.TAR if _is_tar(head) else Kind.LOOSE


_REFUSED = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
}


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


def members(source: BinaryIO, name: str, kind: Kind, max_members: int) -> Iterator[Member]:
    """The members of an upload, from the first; litter and folders left out.

    `source` is seekable. Raises TooManyMembers and OverlappingMembers before the first member,
    DamagedArchive (with `kept=0`: the caller counts) where the archive ends or breaks early.
    """
    if kind is Kind.LOOSE:
        yield Member(0, printable(name), lambda: _blocks(source))
        return
    reader = _zip_members if kind is Kind.ZIP else _tar_members
    for member in reader(source, name, kind, max_members):
        if is_litter(member.path):
            continue
        yield member


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _refuse_archives(path: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks; NestedArchive when they begin as an archive does."""
    first = next(chunks, b"")
    head = first[:HEAD_BYTES]
    try:
        nested = any(head) and kind_of(head, path) is not Kind.LOOSE  # zeros alone are no archive here
    except UnknownArchive:
        nested = True
    if nested:
        raise NestedArchive(path=path)
    yield first
    yield from chunks


# --- zip -------------------------------------------------------------------------------------------
def _zip_members(source: BinaryIO, name: str, kind: Kind, max_members: int) -> Iterator[Member]:
    if (count := _zip_entry_count(source)) is None:
        yield from _zip_members_forward(source, name, max_members)
        return
    if count > max_members:
        raise TooManyMembers(name=name, limit=max_members)
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError):
        # The directory is damaged; the members before it may not be.
        yield from _zip_members_forward(source, name, max_members)
        return
    with archive:
        infos = archive.infolist()
        if len(infos) > max_members:
            raise TooManyMembers(name=name, limit=max_members)
        _refuse_overlaps(archive, infos, name)
        for number, info in enumerate(infos):
            if not info.is_dir():
                yield _zip_member(archive, info, number)


def _zip_entry_count(source: BinaryIO) -> int | None:
    """Entries by the end record (zip64: its own), before anything is read; None when there is none."""
    size = source.seek(0, io.SEEK_END)
    tail_bytes = min(size, _END_RECORD_BYTES + 2**16 + 20)
    source.seek(size - tail_bytes)
    tail = source.read(tail_bytes)
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) < at + _END_RECORD_BYTES:
        return None
    count = int(struct.unpack_from("<H", tail, at + 10)[0])
    locator = tail[max(0, at - 20) : at]
    if locator.startswith(b"PK\x06\x07"):
        source.seek(struct.unpack_from("<Q", locator, 8)[0])
        record = source.read(40)
        if record.startswith(b"PK\x06\x06") and len(record) == 40:
            count = int(struct.unpack_from("<Q", record, 32)[0])
    return count


def _refuse_overlaps(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], name: str) -> None:
    """CVE-2024-0450 (unchecked by Python up to 3.11.7): entries that share bytes make a bomb."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise OverlappingMembers(name=name, path=printable(info.orig_filename))
        # 30 bytes of local header and the name; the extra field may differ from the directory's.
        name_bytes = len(info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437"))
        end = info.header_offset + 30 + name_bytes + info.compress_size
    if end > archive.start_dir:
        raise OverlappingMembers(name=name, path=printable(infos[-1].orig_filename))


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, number: int) -> Member:
    path = printable(info.orig_filename)
    error: ClipError | None = None
    if info.flag_bits & 0x1:
        error = Encrypted(path=path)
    elif info.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
        zipfile.ZIP_BZIP2,
        zipfile.ZIP_LZMA,
    ):
        error = UnsupportedCompression(path=path, method=info.compress_type)

    def chunks() -> Iterator[bytes]:
        try:
            with archive.open(info) as file:
                yield from _refuse_archives(path, _blocks(file))  # type: ignore[arg-type]
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            struct.error,
        ) as cause:
            raise DamagedMember(path=path, reason=_reason(cause)) from cause

    return Member(number, path, chunks, error)


def _zip_members_forward(source: BinaryIO, name: str, max_members: int) -> Iterator[Member]:
    """Members by their local headers, for a zip whose directory is lost; ends with DamagedArchive."""
    source.seek(0)
    reason = "its directory is missing or unreadable, as when a download was cut off"
    try:
        for number, (raw_name, _size, chunks) in enumerate(stream_unzip.stream_unzip(_blocks(source))):
            if number >= max_members:
                raise TooManyMembers(name=name, limit=max_members)
            path = printable(raw_name.decode("utf-8", "surrogateescape"))
            if not path.endswith("/"):
                yield Member(number, path, _forward_chunks(path, chunks))
            for _ in chunks:  # what the reader left: the next header comes after it
                pass
    except stream_unzip.UnzipError as cause:
        raise DamagedArchive(name=name, reason=reason, kept=0) from cause
    raise DamagedArchive(name=name, reason=reason, kept=0)


def _forward_chunks(path: str, chunks: Iterator[bytes]) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        try:
            yield from _refuse_archives(path, chunks)
        except stream_unzip.PasswordError as cause:
            raise Encrypted(path=path) from cause
        except stream_unzip.UnzipError as cause:
            raise DamagedMember(path=path, reason=_reason(cause)) from cause

    return read


# --- tar -------------------------------------------------------------------------------------------
def _tar_members(source: BinaryIO, name: str, kind: Kind, max_members: int) -> Iterator[Member]:
    source.seek(0)
    number = 0
    try:
        with tarfile.open(
            fileobj=source,
            mode="r|gz" if kind is Kind.TAR_GZ else "r|",
            errors="surrogateescape",
            ignore_zeros=False,
        ) as archive:
            while (info := archive.next()) is not None:
                if number >= max_members:
                    raise TooManyMembers(name=name, limit=max_members)
                if not info.isdir():
                    yield _tar_member(archive, info, number)
                number += 1
                archive.members.clear()  # type: ignore[attr-defined]  # or it keeps every header
    except _TAR_ERRORS as cause:
        if number == 0 and kind is Kind.TAR_GZ:
            raise UnknownArchive(name=name, kind="a gzip file without a tar archive in it") from cause
        raise DamagedArchive(name=name, reason=_reason(cause), kept=0) from cause


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo, number: int) -> Member:
    path = printable(info.name)
    error = None if info.isreg() else NotAFile(path=path, kind=_tar_kind(info))

    def chunks() -> Iterator[bytes]:
        file = archive.extractfile(info)
        if file is None:
            return
        left = info.size
        try:
            for block in _refuse_archives(path, _blocks(file)):  # type: ignore[arg-type]
                left -= len(block)
                yield block
        except _TAR_ERRORS as cause:
            raise DamagedMember(path=path, reason=_reason(cause)) from cause
        if left > 0:
            raise DamagedMember(path=path, reason="the archive ends inside it")

    return Member(number, path, chunks, error)


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issym():
        return "symbolic link"
    if info.islnk():
        return "hard link"
    return "device or pipe"


def _reason(cause: BaseException) -> str:
    """The library's words, without its type; a full stop would double ours."""
    return (str(cause) or type(cause).__name__).rstrip(".")


def extension(path: str) -> str:
    """The ending of a path if it is a plain one (`wav`), else `bin`; for names inside shards."""
    suffix = PurePosixPath(path).suffix[1:].lower()
    return suffix if suffix.isascii() and suffix.isalnum() and len(suffix) <= 8 else "bin"
