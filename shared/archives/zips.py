"""Zip archives: by their directory, or forwards where that is lost.

The members' bytes are unpacked here: `zipfile` takes a bzip2 or LZMA block whole, whatever it holds, and
knows neither Deflate64 nor Zstandard nor xz.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from shared.archives.compression import (
    BREAKS_OFF,
    DAMAGE,
    LZMA,
    RECIPES,
    SEVERAL_STREAMS,
    STORED,
    Decompressor,
    is_about_memory,
    packed_bytes,
    unpacked,
    zip_decompressor,
    zip_lzma,
)
from shared.archives.directory import (
    IS_ENCRYPTED,
    LOCAL_HEADER_BYTES,
    NOT_SPLIT_MARKER,
    SPLIT_MARKER,
    Entry,
    local_entry,
    read_directory,
)
from shared.archives.kinds import is_split_name, printable
from shared.archives.limits import Meter
from shared.archives.member import Member, reason, without_archives
from shared.archives.names import in_zip
from shared.core.errors.recordings import (
    ClipError,
    DamagedMember,
    Encrypted,
    NotAFile,
    UnsupportedCompression,
)
from shared.core.errors.uploads import DamagedArchive, NamesGuessed, OverlappingMembers, SplitArchive

_NO_DIRECTORY = "its directory is missing or unreadable, as when a download was cut off"
_HAS_DESCRIPTOR = 0x8
# CRC and two sizes behind a member's data, of 32 or 64 bits, with a signature or without.
_DESCRIPTOR_BYTES = (16, 24, 12, 20)
_LINK_BYTES = 4096  # the longest path that Linux takes
_KINDS = {stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFSOCK: "socket"}


def zip_members(source: BinaryIO, meter: Meter, encoding: str | None) -> Iterator[Member]:
    """The files in a zip, in the order of its directory; forwards where that is lost.

    encoding: of names that are not UTF-8 and do not say what they are. Ends with NamesGuessed where there are
    such and it is None.
    """
    found = read_directory(source, meter)
    if found is None:
        yield from _members_forward(source, meter, encoding)
        return
    entries, directory_at = found
    _refuse_overlaps(entries, directory_at, meter.name)
    guessed: str | None = None
    for number, entry in enumerate(entries):
        meter.member(number)
        path, is_guess = _path(entry, encoding)
        if not _is_folder(path, entry):
            guessed = guessed or (path if is_guess else None)
            yield _member(source, entry, path, number, meter)
    if guessed is not None:
        raise NamesGuessed(name=meter.name, path=guessed)


def _path(entry: Entry, encoding: str | None) -> tuple[str, bool]:
    name, is_guess = in_zip(entry.raw_name, entry.flags, entry.extra, encoding)
    return printable(name), is_guess


def _is_folder(path: str, entry: Entry) -> bool:
    """A backslash ends folders of Windows' PowerShell, and characters of Japanese, which may hold bytes."""
    return path.endswith("/") or (path.endswith("\\") and not entry.size)


def _refuse_overlaps(entries: list[Entry], directory_at: int, name: str) -> None:
    """CVE-2024-0450: entries that share bytes, with each other or the directory, make a bomb.

    One that would begin behind the directory is damaged, and harms itself alone.
    """
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        begins = entry.offset
        # The extra field of the local header may differ from the directory's, so it is left out.
        ends = begins + LOCAL_HEADER_BYTES + len(entry.raw_name) + entry.packed_bytes
        if begins < end or begins < directory_at < ends:
            raise OverlappingMembers(name=name, path=_path(entry, None)[0])
        end = ends


def _member(source: BinaryIO, entry: Entry, path: str, number: int, meter: Meter) -> Member:
    error = _unreadable(entry, path)
    kind = stat.S_IFMT(entry.unix_mode)
    if kind == stat.S_IFLNK:
        error = NotAFile(path=path, kind="symbolic link" + _target(source, entry, path, meter, error))
    elif kind in _KINDS:
        error = NotAFile(path=path, kind=_KINDS[kind])
    return Member(number, path, lambda: without_archives(path, _chunks(source, entry, path, meter)), error)


def _unreadable(entry: Entry, path: str) -> ClipError | None:
    if entry.flags & IS_ENCRYPTED:
        return Encrypted(path=path)
    if entry.method not in RECIPES:
        return UnsupportedCompression(path=path, method=entry.method)
    return None


def _target(source: BinaryIO, entry: Entry, path: str, meter: Meter, error: ClipError | None) -> str:
    """Where a link leads, which is its content; nothing where that cannot be read."""
    if error is not None or not 0 < entry.size <= _LINK_BYTES:
        return ""
    try:
        target = b"".join(_chunks(source, entry, path, meter))
    except ClipError:
        return ""
    return " to " + printable(target.decode("utf-8", "surrogateescape"))


def _chunks(source: BinaryIO, entry: Entry, path: str, meter: Meter) -> Iterator[bytes]:
    """The bytes of a member, held against its size and checksum."""
    checksum = size = 0
    pieces = _pieces(source, entry, meter.limits.window_bytes)
    while size < entry.size:
        piece = _next(pieces, path, meter)
        if piece is None:
            raise DamagedMember(path=path, reason=BREAKS_OFF)
        size += len(piece)
        checksum = zlib.crc32(piece, checksum)
        if size > entry.size:
            raise DamagedMember(path=path, reason="it is larger than the archive says")
        if size == entry.size and checksum != entry.checksum:
            break
        if piece:
            yield piece
    if checksum != entry.checksum:
        raise DamagedMember(path=path, reason="its checksum is wrong")


def _next(pieces: Iterator[bytes], path: str, meter: Meter) -> bytes | None:
    """One piece, counted; None after the last."""
    try:
        piece = next(pieces, None)
    except DAMAGE as cause:
        words: object = reason(cause)
        if is_about_memory(cause):
            limit = meter.limits.window_bytes
            words = f"it takes over {limit} bytes of memory to unpack, over VOXMOOD_MAX_WINDOW_BYTES"
        raise DamagedMember(path=path, reason=words) from cause
    meter.unpacked(0 if piece is None else len(piece))
    return piece


def _pieces(source: BinaryIO, entry: Entry, window_bytes: int) -> Iterator[bytes]:
    local = local_entry(source, entry.offset)
    if local is None:
        raise ValueError("its header is missing")
    source.seek(local[1])
    method, left = entry.method, entry.packed_bytes
    if method == STORED:
        yield from _packed(source, left, packed_bytes(method))
    elif method == LZMA:
        machine = zip_lzma(source.read(9), window_bytes)
        yield from unpacked(_packed(source, left - 9, packed_bytes(method)), machine)
    else:
        packed = _packed(source, left, packed_bytes(method))
        new = _new(method, window_bytes)
        yield from unpacked(packed, new(), new if method in SEVERAL_STREAMS else None)


def _new(method: int, window_bytes: int) -> Callable[[], Decompressor]:
    return lambda: zip_decompressor(method, window_bytes)


def _packed(source: BinaryIO, left: int, at_once: int) -> Iterator[bytes]:
    while left > 0 and (block := source.read(min(left, at_once))):
        left -= len(block)
        yield block


def _members_forward(source: BinaryIO, meter: Meter, encoding: str | None) -> Iterator[Member]:
    """Members by their local headers, for a zip whose directory is lost; ends with DamagedArchive."""
    source.seek(0)
    marker = source.read(4)
    if marker == SPLIT_MARKER or is_split_name(meter.name):
        raise SplitArchive(name=meter.name)
    place = 4 if marker == NOT_SPLIT_MARKER else 0
    number, because = 0, _NO_DIRECTORY
    while (local := local_entry(source, place)) is not None:
        entry, start = local
        meter.member(number)
        path, _ = _path(entry, encoding)
        if entry.flags & _HAS_DESCRIPTOR and not entry.packed_bytes:
            error = _unreadable(entry, path)
            if error is not None or entry.method in (STORED, LZMA):  # where it ends is not known
                because += ", and a member is encrypted" if isinstance(error, Encrypted) else ""
                if not path.endswith("/") and error is not None:
                    yield Member(number, path, lambda: iter(()), error)
                break
            streamed = _Streamed(source, entry, start, path, meter)
            if not path.endswith("/"):
                yield Member(number, path, streamed.chunks)
            after = streamed.end()
            if after is None:
                break
            place = after
        else:
            if not _is_folder(path, entry):
                yield _member(source, entry, path, number, meter)
            place = start + entry.packed_bytes
            if entry.flags & _HAS_DESCRIPTOR:
                place += _descriptor(source, place)
        number += 1
    raise DamagedArchive(name=meter.name, reason=because, kept=0)


def _descriptor(source: BinaryIO, place: int) -> int:
    """Bytes between a member's data and the next header; 0 where none is seen."""
    source.seek(place)
    behind = source.read(max(_DESCRIPTOR_BYTES) + 4)
    fitting = (length for length in _DESCRIPTOR_BYTES if behind[length : length + 2] == b"PK")
    return next(fitting, 0)


class _Streamed:
    """A member whose size stands behind its data, read forwards."""

    def __init__(self, source: BinaryIO, entry: Entry, start: int, path: str, meter: Meter) -> None:
        self._source = source
        self._place = start
        self._path = path
        self._meter = meter
        self._machine = zip_decompressor(entry.method, meter.limits.window_bytes)
        self._at_once = packed_bytes(entry.method)
        self._is_damaged = False
        self._data = self._checked()

    def chunks(self) -> Iterator[bytes]:
        """Its bytes; DamagedMember where they break off, or are others than its checksum says."""
        return without_archives(self._path, self._data)

    def end(self) -> int | None:
        """Where the next header should be, once what was left is read; None where that is not known."""
        try:
            for _ in self._data:
                pass
        except DamagedMember:
            pass
        return None if self._is_damaged else self._place

    def _checked(self) -> Iterator[bytes]:
        self._source.seek(self._place)
        checksum = 0
        pieces = unpacked(self._blocks(), self._machine)
        while True:
            try:
                piece = _next(pieces, self._path, self._meter)
            except DamagedMember:
                self._is_damaged = True
                raise
            if piece is None:
                break
            checksum = zlib.crc32(piece, checksum)
            if piece:
                yield piece
        self._place -= len(self._machine.unused_data)
        self._source.seek(self._place)
        behind = self._source.read(8)
        self._place += _descriptor(self._source, self._place)
        said = behind[4:8] if behind.startswith(b"PK\x07\x08") else behind[:4]
        if said != struct.pack("<L", checksum):
            raise DamagedMember(path=self._path, reason="its checksum is wrong")

    def _blocks(self) -> Iterator[bytes]:
        while block := self._source.read(self._at_once):
            self._place += len(block)
            yield block
