"""Zip archives, read by their directory, or forwards where the directory is lost."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from shared.archives.compression import (
    LZMA,
    STORED,
    packed_bytes,
    unpacked,
    zip_decompressor,
)
from shared.archives.directory import (
    LOCAL_HEADER_BYTES,
    NOT_SPLIT_MARKER,
    SPLIT_MARKER,
    Entry,
    local_entry,
    read_directory,
)
from shared.archives.kinds import is_split_name
from shared.archives.limits import Meter
from shared.archives.member import Member, without_archives
from shared.archives.zip_entries import entry_path, is_folder, next_piece, unreadable, zip_member
from shared.core.errors.recordings import (
    DamagedMember,
    Encrypted,
)
from shared.core.errors.uploads import DamagedArchive, NamesGuessed, OverlappingMembers, SplitArchive

_NO_DIRECTORY = "its directory is missing or unreadable, as when a download was cut off"
_HAS_DESCRIPTOR = 0x8
# CRC and two sizes behind a member's data, of 32 or 64 bits, with a signature or without.
_DESCRIPTOR_BYTES = (16, 24, 12, 20)


def zip_members(source: BinaryIO, meter: Meter, encoding: str | None) -> Iterator[Member]:
    """The files in a zip, in the order of its directory; in their own order where the directory is lost.

    Args:
        source: the upload.
        meter: counts the members and their bytes.
        encoding: of names that are not UTF-8 and do not say what they are.

    Raises:
        OverlappingMembers: entries share bytes; raised before the first member.
        DamagedArchive: the directory was lost; raised after the members.
        NamesGuessed: the encoding of a name had to be guessed; raised after the members.
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
        path, is_guess = entry_path(entry, encoding)
        if not is_folder(path, entry):
            guessed = guessed or (path if is_guess else None)
            yield zip_member(source, entry, path, number, meter)
    if guessed is not None:
        raise NamesGuessed(name=meter.name, path=guessed)


def _refuse_overlaps(entries: list[Entry], directory_at: int, name: str) -> None:
    """Refuse entries that share bytes with each other or with the directory (CVE-2024-0450): a zip bomb.

    An entry that would begin behind the directory is damaged; it harms only itself.
    """
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        begins = entry.offset
        # The extra field of the local header may differ from the directory's, so it is left out.
        ends = begins + LOCAL_HEADER_BYTES + len(entry.raw_name) + entry.packed_bytes
        if begins < end or begins < directory_at < ends:
            raise OverlappingMembers(name=name, path=entry_path(entry, None)[0])
        end = ends


def _members_forward(source: BinaryIO, meter: Meter, encoding: str | None) -> Iterator[Member]:
    """Read members by their local headers, for a zip whose directory is lost; ends with DamagedArchive."""
    source.seek(0)
    marker = source.read(4)
    if marker == SPLIT_MARKER or is_split_name(meter.name):
        raise SplitArchive(name=meter.name)
    place = 4 if marker == NOT_SPLIT_MARKER else 0
    number, because = 0, _NO_DIRECTORY
    while (local := local_entry(source, place)) is not None:
        entry, start = local
        meter.member(number)
        path, _ = entry_path(entry, encoding)
        if entry.flags & _HAS_DESCRIPTOR and not entry.packed_bytes:
            error = unreadable(entry, path)
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
            if not is_folder(path, entry):
                yield zip_member(source, entry, path, number, meter)
            place = start + entry.packed_bytes
            if entry.flags & _HAS_DESCRIPTOR:
                place += _descriptor(source, place)
        number += 1
    raise DamagedArchive(name=meter.name, reason=because, kept=0)


def _descriptor(source: BinaryIO, place: int) -> int:
    """How many bytes lie between a member's data and the next header; 0 where no header is found."""
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
        self._decompressor = zip_decompressor(entry.method, meter.limits.window_bytes)
        self._at_once = packed_bytes(entry.method)
        self._is_damaged = False
        self._data = self._checked()

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the member.

        Raises:
            DamagedMember: they break off, or their checksum is wrong.
        """
        return without_archives(self._path, self._data)

    def end(self) -> int | None:
        """Where the next header should be, after the rest is read; None where that is not known."""
        try:
            for _ in self._data:
                pass
        except DamagedMember:
            pass
        return None if self._is_damaged else self._place

    def _checked(self) -> Iterator[bytes]:
        self._source.seek(self._place)
        checksum = 0
        pieces = unpacked(self._blocks(), self._decompressor)
        while True:
            try:
                piece = next_piece(pieces, self._path, self._meter)
            except DamagedMember:
                self._is_damaged = True
                raise
            if piece is None:
                break
            checksum = zlib.crc32(piece, checksum)
            if piece:
                yield piece
        self._place -= len(self._decompressor.unused_data)
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
