"""One entry of an archive, and what all readers do with its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from shared.archives.kinds import HEAD_BYTES, Kind, kind_of
from shared.errors.recordings import ClipError, NestedArchive
from shared.errors.uploads import UnknownArchive

BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """One entry. Read `chunks()` to its end before the next member; it raises ClipError.

    `error` is set where the entry cannot be read at all (encrypted, a link, …).
    """

    number: int
    path: str
    chunks: Callable[[], Iterator[bytes]]
    error: ClipError | None = None


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """A file to its end, a MiB at a time."""
    while block := file.read(BLOCK_BYTES):
        yield block


def without_archives(path: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks; NestedArchive when they begin as an archive does."""
    first = next(chunks, b"")
    while 0 < len(first) < HEAD_BYTES and (more := next(chunks, b"")):
        first += more
    head = first[:HEAD_BYTES]
    try:
        nested = any(head) and kind_of(head, path) is not Kind.LOOSE  # zeros alone are no archive here
    except UnknownArchive:
        nested = True
    if nested:
        raise NestedArchive(path=path)
    yield first
    yield from chunks


def reason(cause: BaseException) -> str:
    """A library's words, without its type; a full stop would double ours."""
    return (str(cause) or type(cause).__name__).rstrip(".")
