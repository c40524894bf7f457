"""The directory of a zip: where it lies, and what it says of each member.

It is read here and not by `zipfile`, which loses the raw bytes of names, refuses names that are not UTF-8
although their flag says so, takes archives over 4 GiB without zip64 fields (of macOS's Finder) for damaged
ones, and differs between versions of Python.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from shared.archives.limits import Meter
from shared.archives.names import extra_fields
from shared.core.errors.uploads import DirectoryTooLarge, SplitArchive, TooManyMembers

LOCAL_HEADER_BYTES = 30
IS_ENCRYPTED = 0x1
SPLIT_MARKER, NOT_SPLIT_MARKER = b"PK\x07\x08", b"PK00"  # before the first member of a (would-be) split zip
_END_RECORD = struct.Struct("<4s4H2LH")
_END64_RECORD = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4sBB5H3L5H2L")
_NO_NUMBER = 0xFFFFFFFF
_WRAP = 2**32
LARGEST_OFFSET = 2**63 - 1  # that a file can have


@dataclass(frozen=True, slots=True)
class Entry:
    """What a header says of one member.

    Attributes:
        raw_name: its name, in an encoding that may be unknown.
        extra: the header's extra fields.
        flags: the general purpose bits.
        method: the number of the compression method.
        checksum: the CRC-32 of the unpacked bytes.
        packed_bytes: its size in the archive.
        size: its size when unpacked, in bytes.
        offset: where its local header lies in the upload.
        unix_mode: the file mode; 0 where the header does not say it.
    """

    raw_name: bytes
    extra: bytes
    flags: int
    method: int
    checksum: int
    packed_bytes: int
    size: int
    offset: int
    unix_mode: int = 0  # 0: not said


@dataclass(frozen=True, slots=True)
class _End:
    """What the end record says, and where the directory really lies.

    Attributes:
        start: where the directory begins in the upload.
        length: its bytes.
        entries: how many members it has, as the record says.
        offset: where the directory begins, as the record says.
        disk: the number of this part of a split archive.
        directory_disk: the number of the part in which the directory begins.
        is_zip64: whether the record has the wide form.
    """

    start: int
    length: int
    entries: int
    offset: int  # of the directory, as it is said
    disk: int
    directory_disk: int
    is_zip64: bool


def is_zip_behind(source: BinaryIO) -> bool:
    """Whether an upload that does not begin as a zip ends as one.

    So do self-extracting archives, those behind a few stray bytes, and the last part of a split archive.
    """
    end = _end(source, whole=True)
    if end is None:
        return False
    if end.disk:
        return end.disk < 1000  # as random bytes seldom say
    source.seek(end.start)
    return end.length > 0 and source.read(4) == b"PK\x01\x02"


def read_directory(source: BinaryIO, meter: Meter) -> tuple[list[Entry], int] | None:
    """Read the directory of a zip.

    Returns:
        The entries, and where the directory begins in the upload; None where it is missing or unreadable.

    Raises:
        TooManyMembers: it has more entries than the limits allow.
        DirectoryTooLarge: it has more bytes than the limits allow.
        SplitArchive: the upload is one part of several.
    """
    end = _end(source)
    if end is None:
        return None
    limits = meter.limits
    if end.entries > limits.members:
        raise TooManyMembers(name=meter.name, limit=limits.members, kept=0)
    if end.length > limits.directory_bytes:
        raise DirectoryTooLarge(name=meter.name, limit_bytes=limits.directory_bytes)
    source.seek(end.start)
    directory = source.read(end.length)
    disk_bytes = _disk_bytes(source, end)
    if end.disk and (disk_bytes is None or not directory.startswith(b"PK\x01\x02")):
        raise SplitArchive(name=meter.name)
    junk = 0 if disk_bytes is not None else end.start - end.offset
    wraps = 0
    if junk > 0 and not end.is_zip64:
        wraps, junk = divmod(junk, _WRAP)
    if junk < 0:
        return None
    try:
        entries = list(_entries(directory, meter, disk_bytes or 0, junk, wraps))
    except struct.error:
        return None
    return (entries, end.start) if entries or not end.length else None


def _end(source: BinaryIO, whole: bool = False) -> _End | None:
    """Find the end record.

    Args:
        source: the upload.
        whole: accept only a record that nothing but its own comment follows.
    """
    size = source.seek(0, io.SEEK_END)
    tail_bytes = min(size, _END_RECORD.size + 2**16 + _END64_RECORD.size + _LOCATOR.size)
    source.seek(size - tail_bytes)
    tail = source.read(tail_bytes)
    at = _record_at(tail, whole)
    if at is None:
        return None
    _, disk, directory_disk, _, entries, length, offset, _ = _END_RECORD.unpack_from(tail, at)
    end, is_zip64 = size - tail_bytes + at, False
    if disk == 0xFFFF or directory_disk == 0xFFFF:
        disk = directory_disk = 0  # the zip64 record says it
    if at >= _LOCATOR.size and tail.startswith(b"PK\x06\x07", at - _LOCATOR.size):
        record_at = at - _LOCATOR.size - _END64_RECORD.size
        if record_at >= 0 and tail.startswith(b"PK\x06\x06", record_at):
            record = _END64_RECORD.unpack_from(tail, record_at)
            _, _, _, _, disk, directory_disk, _, entries, length, offset = record
            end -= _LOCATOR.size + _END64_RECORD.size
            is_zip64 = True
    if length > end:
        return _End(0, 0, 0, 0, disk, directory_disk, is_zip64) if disk else None
    return _End(end - length, length, entries, offset, disk, directory_disk, is_zip64)


def _record_at(tail: bytes, whole: bool) -> int | None:
    """Where the last end record lies whose comment ends with the upload.

    Where there is none, it is the last record at all, unless `whole`.
    """
    at = last = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if len(tail) >= at + _END_RECORD.size:
            comment_bytes = struct.unpack_from("<H", tail, at + _END_RECORD.size - 2)[0]
            if at + _END_RECORD.size + comment_bytes == len(tail):
                return at
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return None if whole or last < 0 or len(tail) < last + _END_RECORD.size else last


def _disk_bytes(source: BinaryIO, end: _End) -> int | None:
    """The size of each part but the last, where a split archive was joined by `cat`; else None.

    Offsets then count from the beginning of a part. The archive is complete if it begins as a first part does
    and all parts have one size.
    """
    if not end.directory_disk or end.start <= end.offset:
        return None
    source.seek(0)
    size, rest = divmod(end.start - end.offset, end.directory_disk)
    return size if source.read(4) == SPLIT_MARKER and not rest else None


def _entries(directory: bytes, meter: Meter, disk_bytes: int, junk: int, wraps: int) -> Iterator[Entry]:
    """Parse the entries of a directory.

    Args:
        directory: its bytes.
        meter: counts the members.
        disk_bytes: the size of each part of a joined split archive, else 0.
        junk: how many bytes lie before the archive.
        wraps: how often offsets of 32 bits began again at 0 (macOS's Finder).
    """
    place = count = end = 0
    while directory.startswith(b"PK\x01\x02", place):
        count += 1
        if count > meter.limits.members:
            raise TooManyMembers(name=meter.name, limit=meter.limits.members, kept=0)
        (_, _, system, _, flags, method, _, _, checksum, packed, size, name_bytes, extra_bytes,
         comment_bytes, disk, _, attributes, offset) = _ENTRY.unpack_from(directory, place)  # fmt: skip
        place += _ENTRY.size
        raw_name = directory[place : place + name_bytes]
        extra = directory[place + name_bytes : place + name_bytes + extra_bytes]
        place += name_bytes + extra_bytes + comment_bytes
        if place > len(directory):
            raise struct.error("the directory breaks off")
        size, packed, offset = _zip64(extra, size, packed, offset)
        offset += junk + (disk * disk_bytes if disk != 0xFFFF else 0)
        if wraps and offset < end:
            offset += -((offset - end) // _WRAP) * _WRAP
        end = offset + LOCAL_HEADER_BYTES + len(raw_name) + packed
        unix_mode = attributes >> 16 if system in (3, 19) else 0  # Unix, macOS
        yield Entry(raw_name, extra, flags, method, checksum, packed, size, offset, unix_mode)


def _zip64(extra: bytes, *numbers: int) -> list[int]:
    """Replace sizes and offsets of 0xFFFFFFFF by those of the zip64 field, in the order of the field."""
    field = extra_fields(extra).get(1, b"")
    found = []
    for number in numbers:
        if number == _NO_NUMBER and len(field) >= 8:
            number, field = struct.unpack_from("<Q", field)[0], field[8:]
        found.append(number)
    return found


def local_entry(source: BinaryIO, offset: int) -> tuple[Entry, int] | None:
    """The local header at `offset` and where the member's data begins; None where there is no header."""
    if not 0 <= offset < LARGEST_OFFSET:  # which zip64 fields of a damaged zip claim
        return None
    source.seek(offset)
    header = source.read(LOCAL_HEADER_BYTES)
    if len(header) < LOCAL_HEADER_BYTES or not header.startswith(b"PK\x03\x04"):
        return None
    _, flags, method, _, _, checksum, packed, size, name_bytes, extra_bytes = struct.unpack_from(
        "<5H3L2H", header, 4
    )
    raw_name, extra = source.read(name_bytes), source.read(extra_bytes)
    size, packed = _zip64(extra, size, packed)
    start = offset + LOCAL_HEADER_BYTES + name_bytes + extra_bytes
    return Entry(raw_name, extra, flags, method, checksum, packed, size, offset), start
