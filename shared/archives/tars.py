"""Tar archives as streams: plain, or packed with gzip, bzip2, xz, LZMA or zstd.

`tarfile` parses single header blocks only. Its reader is not used because an archive can hang or break it
(Python 3.11.7): a member that claims 2**62 bytes makes `r|` skip to its end in steps of 10 kB that read
nothing; a header is held in memory as a whole, whatever its size; a pax header of 64 kB of digits takes 4.4
s, and one of 1 MB over 15 minutes; 400 long-name headers in a row exceed the recursion limit; and a damaged
header among sound ones ends the archive without an error.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from shared.archives.compression import DAMAGE, is_about_memory, opened
from shared.archives.kinds import PACKED, Kind, printable
from shared.archives.limits import Meter
from shared.archives.member import BLOCK_BYTES, Member, reason, without_archives
from shared.archives.names import in_tar
from shared.core.errors.recordings import DamagedMember, NotAFile
from shared.core.errors.uploads import DamagedArchive, UnknownArchive, WindowTooLarge

# Of all that may come before a member's own header. Linux takes paths of 4,096 bytes, zip 65,535.
HEADER_BYTES = 128 * 1024
_PAX = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}
_BEFORE_MEMBERS = {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE} | _PAX
_FILES = {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE}
_KINDS = {
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "pipe",
    tarfile.GNUTYPE_SPARSE: "sparse file",
}
_LINKS = {tarfile.SYMTYPE, tarfile.LNKTYPE}
_WITHOUT_DATA = {*_KINDS, tarfile.DIRTYPE} - {tarfile.GNUTYPE_SPARSE}


class _Damage(Exception):
    """Why the archive cannot be read any further."""


class _NoTar(_Damage):
    """The first block is not a header of a tar."""


def tar_members(source: BinaryIO, kind: Kind, meter: Meter, encoding: str | None) -> Iterator[Member]:
    """The files in a tar, and its links and devices as members with an error.

    Args:
        source: the upload.
        kind: how it is compressed.
        meter: counts the members and their bytes.
        encoding: of names that are not UTF-8.

    Raises:
        DamagedArchive: the archive is damaged or ends early.
        UnknownArchive: no tar lies within the compressed data.
        WindowTooLarge: it takes too much memory to unpack.
    """
    source.seek(0)
    stream = _Stream(opened(source, kind, meter.limits.window_bytes), meter)
    number = 0
    try:
        while (header := stream.header()) is not None:
            meter.member(number)
            if not header.isdir():
                yield _member(stream, header, number, encoding)
            stream.skip()
            number += 1
        if kind is not Kind.TAR:  # the checksum of what was compressed comes last
            while stream.read(BLOCK_BYTES):
                pass
    except _Damage as cause:
        if kind is not Kind.TAR and isinstance(cause, _NoTar):
            words = f"{PACKED[kind]} without a tar archive in it"
            raise UnknownArchive(name=meter.name, kind=words) from cause
        raise DamagedArchive(name=meter.name, reason=cause, kept=0) from cause


def _text(name: str, encoding: str | None) -> str:
    return printable(in_tar(name.encode("utf-8", "surrogateescape"), encoding))


def _member(stream: _Stream, header: tarfile.TarInfo, number: int, encoding: str | None) -> Member:
    path = _text(header.name, encoding)
    error = None
    if header.type not in _FILES:
        what = _KINDS.get(header.type, f"entry of type {printable(header.type.decode('latin-1'))}")
        if header.type in _LINKS and header.linkname:
            what += f" to {_text(header.linkname, encoding)}"
        error = NotAFile(path=path, kind=what)
    return Member(number, path, lambda: without_archives(path, stream.data(path)), error)


class _Stream:
    """A tar that is read forwards; every byte is counted.

    Once it has raised _Damage, every further read raises it again.
    """

    def __init__(self, file: BinaryIO, meter: Meter) -> None:
        self._file = file
        self._meter = meter
        self._damage: str | None = None
        self._is_first = True
        self._left = self._padding = 0  # of the member at hand

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer at the end of the archive."""
        if self._damage is not None:
            raise _Damage(self._damage)
        try:
            data = self._file.read(size)
        except DAMAGE as cause:
            if is_about_memory(cause):
                limit = self._meter.limits.window_bytes
                raise WindowTooLarge(name=self._meter.name, limit_bytes=limit, kept=0) from cause
            self._damage = reason(cause)
            raise _Damage(self._damage) from cause
        self._meter.unpacked(len(data))
        return data

    def header(self) -> tarfile.TarInfo | None:
        """The header of the next member, with what the headers before it add; None at the end."""
        extended = 0
        name: str | None = None
        link: str | None = None
        pax: dict[str, str] = {}
        while (header := self._block()) is not None:
            if header.type not in _BEFORE_MEMBERS:
                return self._begin(header, name, link, pax)
            extended += tarfile.BLOCKSIZE + header.size
            if extended > HEADER_BYTES:
                raise _Damage(f"a member's name and attributes take over {HEADER_BYTES} bytes")
            body = self.read(header.size + -header.size % tarfile.BLOCKSIZE)[: header.size]
            if len(body) < header.size:
                raise _Damage("it ends inside a header")
            if header.type == tarfile.GNUTYPE_LONGNAME:
                name = body.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            elif header.type == tarfile.GNUTYPE_LONGLINK:
                link = body.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            elif header.type in _PAX:
                pax |= _pax_records(body)
        if extended:
            raise _Damage("it ends after a header")
        return None

    def _block(self) -> tarfile.TarInfo | None:
        """One header block; None at the end of the archive, whether or not the end is marked."""
        block = self.read(tarfile.BLOCKSIZE)
        is_first, self._is_first = self._is_first, False
        if not any(block) and not (is_first and len(block) < tarfile.BLOCKSIZE):
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as cause:
            words = "it ends inside a header" if len(block) < tarfile.BLOCKSIZE else "a header is damaged"
            raise (_NoTar if is_first else _Damage)(words) from cause
        if header.size < 0:
            raise _Damage("a header claims less than no bytes")
        if header.type == tarfile.GNUTYPE_SPARSE and block[482]:  # its map goes on in blocks of its own
            while any(self.read(tarfile.BLOCKSIZE)[504:505]):
                pass
        return header

    def _begin(
        self, header: tarfile.TarInfo, name: str | None, link: str | None, pax: dict[str, str]
    ) -> tarfile.TarInfo:
        """Apply what the headers before a member's own say, and prepare to read its data."""
        try:
            header.size = int(pax.get("size", header.size))
        except ValueError as cause:
            raise _Damage("a header is damaged") from cause
        if header.size < 0:
            raise _Damage("a header claims less than no bytes")
        header.name = pax.get("GNU.sparse.name", pax.get("path", name if name is not None else header.name))
        header.linkname = pax.get("linkpath", link if link is not None else header.linkname)
        if header.type in _FILES and any(key.startswith("GNU.sparse.") for key in pax):
            header.type = tarfile.GNUTYPE_SPARSE
        elif header.type == tarfile.AREGTYPE and header.name.endswith("/"):
            header.type = tarfile.DIRTYPE
        self._left = 0 if header.type in _WITHOUT_DATA else header.size
        self._padding = -self._left % tarfile.BLOCKSIZE
        return header

    def data(self, path: str) -> Iterator[bytes]:
        """The rest of the current member's bytes."""
        while self._left:
            try:
                block = self.read(min(self._left, BLOCK_BYTES))
            except _Damage as cause:
                raise DamagedMember(path=path, reason=cause) from cause
            if not block:
                raise DamagedMember(path=path, reason="the archive ends inside it")
            self._left -= len(block)
            yield block

    def skip(self) -> None:
        """Read to the end of the current member."""
        rest = self._left + self._padding
        self._left = self._padding = 0
        while rest:
            block = self.read(min(rest, BLOCK_BYTES))
            if not block:
                raise _Damage("it ends inside a member")
            rest -= len(block)


def _pax_records(body: bytes) -> dict[str, str]:
    """The lines `<length> <key>=<value>` of a pax header (POSIX.1-2008) as a dictionary."""
    records = {}
    place = 0
    while place < len(body) and body[place] != 0:
        digits = body[place : place + 20].partition(b" ")[0]
        end = place + (int(digits) if digits.isdigit() else 0)
        key, equals, value = body[place + len(digits) + 1 : end].partition(b"=")
        if end > len(body) or not equals or not value.endswith(b"\n"):
            raise _Damage("a header is damaged")
        records[key.decode("utf-8", "surrogateescape")] = value[:-1].decode("utf-8", "surrogateescape")
        place = end
    return records
