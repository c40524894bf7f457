"""Zip archives: by their directory, or forwards where that is lost.

`zipfile` reads the directory, after its size and its entries were counted (about 514 B of memory each).
The members' bytes are unpacked here: zipfile takes a bzip2 or LZMA block whole, whatever it holds.
"""

from __future__ import annotations

import bz2
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import stream_unzip

from shared.archives.compression import BREAKS_OFF, DAMAGE, PACKED_BYTES, Deflate, unpacked, zip_lzma
from shared.archives.kinds import printable
from shared.archives.limits import Meter
from shared.archives.member import Member, blocks, reason, without_archives
from shared.errors.recordings import ClipError, DamagedMember, Encrypted, UnsupportedCompression
from shared.errors.uploads import DamagedArchive, DirectoryTooLarge, OverlappingMembers, TooManyMembers

_END_RECORD = struct.Struct("<4s4H2LH")
_END64_RECORD = struct.Struct("<4sQ2H2L4Q")
_END64_LOCATOR_BYTES = 20
_ENTRY_BYTES, _LOCAL_HEADER_BYTES = 46, 30
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_IS_ENCRYPTED = 0x1
_NO_DIRECTORY = "its directory is missing or unreadable, as when a download was cut off"
# What zipfile raises on a directory that is damaged.
_DIRECTORY_DAMAGE = (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError)


def zip_members(source: BinaryIO, meter: Meter) -> Iterator[Member]:
    """The files in a zip, in the order of its directory."""
    place = _directory(source)
    if place is None:
        yield from _members_forward(source, meter)
        return
    _check_directory(source, *place, meter)
    try:
        archive = zipfile.ZipFile(source)
    except _DIRECTORY_DAMAGE:  # the members before it may be sound
        yield from _members_forward(source, meter)
        return
    infos = archive.infolist()
    _refuse_overlaps(infos, archive.start_dir, meter.name)
    for number, info in enumerate(infos):
        meter.member(number)
        if not info.orig_filename.endswith("/"):
            yield _member(source, info, number, meter)


def _directory(source: BinaryIO) -> tuple[int, int, int] | None:
    """Where the directory starts, its bytes, and the entries it claims, found as zipfile does; or None."""
    size = source.seek(0, io.SEEK_END)
    tail_bytes = min(size, _END_RECORD.size + 2**16 + _END64_RECORD.size + _END64_LOCATOR_BYTES)
    source.seek(size - tail_bytes)
    tail = source.read(tail_bytes)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + _END_RECORD.size:
        return None
    _, _, _, _, entries, length, _, _ = _END_RECORD.unpack_from(tail, at)
    end = size - tail_bytes + at
    if tail[max(0, at - _END64_LOCATOR_BYTES) : at].startswith(b"PK\x06\x07"):
        record_at = at - _END64_LOCATOR_BYTES - _END64_RECORD.size
        if record_at >= 0 and tail[record_at:].startswith(b"PK\x06\x06"):
            *_, entries, length, _ = _END64_RECORD.unpack_from(tail, record_at)
            end -= _END64_LOCATOR_BYTES + _END64_RECORD.size
    return (end - length, length, entries) if length <= end else None


def _check_directory(source: BinaryIO, start: int, length: int, entries: int, meter: Meter) -> None:
    """Refuse a directory that zipfile had better not read; what it claims to hold may be a lie."""
    limits = meter.limits
    if entries > limits.members:
        raise TooManyMembers(name=meter.name, limit=limits.members, kept=0)
    if length > limits.directory_bytes:
        raise DirectoryTooLarge(name=meter.name, limit_bytes=limits.directory_bytes)
    source.seek(start)
    directory = source.read(length)
    place = count = 0
    while directory.startswith(b"PK\x01\x02", place) and place + _ENTRY_BYTES <= length:
        count += 1
        if count > limits.members:
            raise TooManyMembers(name=meter.name, limit=limits.members, kept=0)
        place += _ENTRY_BYTES + sum(struct.unpack_from("<3H", directory, place + 28))


def _refuse_overlaps(infos: list[zipfile.ZipInfo], directory_at: int, name: str) -> None:
    """CVE-2024-0450 (unchecked by Python up to 3.11.7): entries that share bytes make a bomb."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise OverlappingMembers(name=name, path=printable(info.orig_filename))
        # The extra field of the local header may differ from the directory's, so it is left out.
        name_bytes = len(info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437"))
        end = info.header_offset + _LOCAL_HEADER_BYTES + name_bytes + info.compress_size
    if end > directory_at:
        raise OverlappingMembers(name=name, path=printable(infos[-1].orig_filename))


def _member(source: BinaryIO, info: zipfile.ZipInfo, number: int, meter: Meter) -> Member:
    path = printable(info.orig_filename)
    error: ClipError | None = None
    if info.flag_bits & _IS_ENCRYPTED:
        error = Encrypted(path=path)
    elif info.compress_type not in _METHODS:
        error = UnsupportedCompression(path=path, method=info.compress_type)
    return Member(number, path, lambda: without_archives(path, _chunks(source, info, path, meter)), error)


def _chunks(source: BinaryIO, info: zipfile.ZipInfo, path: str, meter: Meter) -> Iterator[bytes]:
    """The bytes of a member, held against its size and checksum."""
    checksum = size = 0
    pieces = _pieces(source, info, meter.limits.window_bytes)
    while size < info.file_size:
        try:
            piece = next(pieces, None)
        except DAMAGE as cause:
            raise DamagedMember(path=path, reason=reason(cause)) from cause
        if piece is None:
            raise DamagedMember(path=path, reason=BREAKS_OFF)
        meter.unpacked(len(piece))
        size += len(piece)
        checksum = zlib.crc32(piece, checksum)
        if size > info.file_size:
            raise DamagedMember(path=path, reason="it is larger than the archive says")
        if size == info.file_size and checksum != info.CRC:
            break
        if piece:
            yield piece
    if checksum != info.CRC:
        raise DamagedMember(path=path, reason="its checksum is wrong")


def _pieces(source: BinaryIO, info: zipfile.ZipInfo, window_bytes: int) -> Iterator[bytes]:
    source.seek(info.header_offset)
    header = source.read(_LOCAL_HEADER_BYTES)
    if len(header) < _LOCAL_HEADER_BYTES or not header.startswith(b"PK\x03\x04"):
        raise ValueError("its header is missing")
    source.seek(sum(struct.unpack_from("<2H", header, 26)), io.SEEK_CUR)
    left = info.compress_size
    if info.compress_type == zipfile.ZIP_LZMA:
        machine = zip_lzma(source.read(9), window_bytes)
        yield from unpacked(_packed(source, left - 9), machine)
    elif info.compress_type == zipfile.ZIP_DEFLATED:
        yield from unpacked(_packed(source, left), Deflate())
    elif info.compress_type == zipfile.ZIP_BZIP2:
        yield from unpacked(_packed(source, left), bz2.BZ2Decompressor())
    else:
        yield from _packed(source, left)


def _packed(source: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0 and (block := source.read(min(left, PACKED_BYTES))):
        left -= len(block)
        yield block


def _members_forward(source: BinaryIO, meter: Meter) -> Iterator[Member]:
    """Members by their local headers, for a zip whose directory is lost; ends with DamagedArchive."""
    source.seek(0)
    cause: Exception | None = None
    try:
        for number, (raw_name, _size, pieces) in enumerate(stream_unzip.stream_unzip(blocks(source))):
            meter.member(number)
            chunks = _metered(pieces, meter)
            path = printable(raw_name.decode("utf-8", "surrogateescape"))
            if not path.endswith("/"):
                yield Member(number, path, _forward_chunks(path, chunks))
            for _ in chunks:  # what the reader left: the next header comes after it
                pass
    except stream_unzip.UnzipError as error:
        cause = error
    because = _NO_DIRECTORY
    if isinstance(cause, stream_unzip.MissingPasswordError):
        because += ", and a member is encrypted"
    raise DamagedArchive(name=meter.name, reason=because, kept=0) from cause


def _metered(pieces: Iterator[bytes], meter: Meter) -> Iterator[bytes]:
    for piece in pieces:
        meter.unpacked(len(piece))
        yield piece


def _forward_chunks(path: str, chunks: Iterator[bytes]) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        try:
            yield from without_archives(path, chunks)
        except stream_unzip.UnzipError as cause:
            raise DamagedMember(path=path, reason=reason(cause)) from cause

    return read
