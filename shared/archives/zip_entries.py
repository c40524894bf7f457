"""The members of a zip, each by the entry that describes it: names, kinds, and the bytes within.

The bytes are unpacked here: `zipfile` takes a bzip2 or LZMA block as a whole, whatever it holds, and knows
neither Deflate64 nor Zstandard nor xz.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from shared.archives.compression import (
    BREAKS_OFF,
    DAMAGE,
    LZMA,
    METHODS,
    SEVERAL_STREAMS,
    STORED,
    Decompressor,
    is_about_memory,
    packed_bytes,
    unpacked,
    zip_decompressor,
    zip_lzma,
)
from shared.archives.directory import IS_ENCRYPTED, Entry, local_entry
from shared.archives.kinds import printable
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

_LINK_BYTES = 4096  # the longest path that Linux takes
_KINDS = {stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFSOCK: "socket"}


def entry_path(entry: Entry, encoding: str | None) -> tuple[str, bool]:
    """The name of an entry as text, and whether its encoding was guessed."""
    name, is_guess = in_zip(entry.raw_name, entry.flags, entry.extra, encoding)
    return printable(name), is_guess


def is_folder(path: str, entry: Entry) -> bool:
    """Whether an entry is a folder.

    A backslash ends the names of folders that Windows PowerShell packs. It also ends characters of Japanese
    encodings, so an entry with a backslash must be empty as well.
    """
    return path.endswith("/") or (path.endswith("\\") and not entry.size)


def zip_member(source: BinaryIO, entry: Entry, path: str, number: int, meter: Meter) -> Member:
    """The member that an entry describes.

    Args:
        source: the upload.
        entry: its header.
        path: its name as text.
        number: its place among all entries.
        meter: counts its bytes when they are unpacked.
    """
    error = unreadable(entry, path)
    kind = stat.S_IFMT(entry.unix_mode)
    if kind == stat.S_IFLNK:
        error = NotAFile(path=path, kind="symbolic link" + _target(source, entry, path, meter, error))
    elif kind in _KINDS:
        error = NotAFile(path=path, kind=_KINDS[kind])
    return Member(number, path, lambda: without_archives(path, _chunks(source, entry, path, meter)), error)


def unreadable(entry: Entry, path: str) -> ClipError | None:
    """Why an entry cannot be read at all; None if it can."""
    if entry.flags & IS_ENCRYPTED:
        return Encrypted(path=path)
    if entry.method not in METHODS:
        return UnsupportedCompression(path=path, method=entry.method)
    return None


def _target(source: BinaryIO, entry: Entry, path: str, meter: Meter, error: ClipError | None) -> str:
    """Where a symbolic link leads, which is its content; empty where that cannot be read."""
    if error is not None or not 0 < entry.size <= _LINK_BYTES:
        return ""
    try:
        target = b"".join(_chunks(source, entry, path, meter))
    except ClipError:
        return ""
    return " to " + printable(target.decode("utf-8", "surrogateescape"))


def _chunks(source: BinaryIO, entry: Entry, path: str, meter: Meter) -> Iterator[bytes]:
    """The bytes of a member, checked against its size and checksum."""
    checksum = size = 0
    pieces = _pieces(source, entry, meter.limits.window_bytes)
    while size < entry.size:
        piece = next_piece(pieces, path, meter)
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


def next_piece(pieces: Iterator[bytes], path: str, meter: Meter) -> bytes | None:
    """One piece of output, counted; None after the last.

    Args:
        pieces: the output of a decompressor.
        path: of the member, for the error.
        meter: counts the bytes.

    Raises:
        DamagedMember: the data is damaged, or takes too much memory to unpack.
    """
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
        decompressor = zip_lzma(source.read(9), window_bytes)
        yield from unpacked(_packed(source, left - 9, packed_bytes(method)), decompressor)
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
