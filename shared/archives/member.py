"""One entry of an archive, and what all readers do with its bytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import zstandard

from shared.archives.kinds import HEAD_BYTES, PACKED, Kind, is_tar, kind_of
from shared.core.errors.recordings import ClipError, NestedArchive
from shared.core.errors.uploads import UnknownArchive

BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive.

    Attributes:
        number: its place among all entries, from 0.
        path: its name as text.
        chunks: gives its bytes; to be read to the end before the next member is taken. Raises a ClipError
            where they cannot be read.
        error: why the entry cannot be read at all (encrypted, a link, …); None if it can.
    """

    number: int
    path: str
    chunks: Callable[[], Iterator[bytes]]
    error: ClipError | None = None


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file to its end, a MiB at a time."""
    while block := file.read(BLOCK_BYTES):
        yield block


def without_archives(path: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, unless they begin as an archive does.

    Args:
        path: of the member, for the error.
        chunks: its bytes.

    Raises:
        NestedArchive: they are an archive within the archive.
    """
    first = next(chunks, b"")
    while 0 < len(first) < HEAD_BYTES and (more := next(chunks, b"")):
        first += more
    head = first[:HEAD_BYTES]
    if any(head):  # zeros alone are no archive here
        _refuse_archive(path, head, first)
    yield first
    yield from chunks


def _refuse_archive(path: str, head: bytes, first: bytes) -> None:
    """Raise NestedArchive, with what would be accepted instead, if the head is that of an archive."""
    try:
        kind = kind_of(head, path)
    except UnknownArchive as error:
        words = f"{error.facts['kind']}, which is not accepted"
        advice = "unpack it, and send the recordings or a zip of them"
        raise NestedArchive(path=path, kind=words, advice=advice) from error
    if kind is Kind.LOOSE:
        return
    if kind in PACKED and not _holds_tar(first, kind):
        words = f"{PACKED[kind]} without a tar archive in it, which is not accepted"
        raise NestedArchive(path=path, kind=words, advice="unpack it, and send what it holds")
    raise NestedArchive(path=path, kind="itself an archive", advice="send it as an upload of its own")


def _holds_tar(packed: bytes, kind: Kind) -> bool:
    """Whether compressed data begins as a tar does; true where its first MiB does not show it."""
    try:
        return is_tar(_OPENED[kind](packed))
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError):
        return True


def _zstd(packed: bytes) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(packed) as reader:
        return reader.read(HEAD_BYTES)


_OPENED: dict[Kind, Callable[[bytes], bytes]] = {
    Kind.TAR_GZ: lambda packed: zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, HEAD_BYTES),
    Kind.TAR_BZ2: lambda packed: bz2.BZ2Decompressor().decompress(packed, HEAD_BYTES),
    Kind.TAR_XZ: lambda packed: lzma.LZMADecompressor(memlimit=2**27).decompress(packed, HEAD_BYTES),
    Kind.TAR_LZMA: lambda packed: lzma.LZMADecompressor(memlimit=2**27).decompress(packed, HEAD_BYTES),
    Kind.TAR_ZST: _zstd,
}


def reason(cause: BaseException) -> str:
    """The message of a library's error, without its type; a full stop at its end would double ours."""
    return (str(cause) or type(cause).__name__).rstrip(".")
