"""What a client sends: a file, or a folder as a tar that is made while it is sent.

Both have a size that is known before, and can be read from any byte on, so that a broken upload goes on
where it was.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shared.errors.surroundings import FileMissing, FolderChanged

BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class FileToSend:
    """A file as it is."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def size(self) -> int:
        return self.path.stat().st_size

    def identity(self) -> str:
        """Changes when the file does: path, size and time of change."""
        stat = self.path.stat()
        return f"{self.path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"

    def read(self, start: int) -> Iterator[bytes]:
        """Its bytes from `start` on."""
        with self.path.open("rb") as file:
            file.seek(start)
            while block := file.read(BLOCK_BYTES):
                yield block


@dataclass(frozen=True)
class FolderToSend:
    """A folder as a tar of its files, sorted by path; links and empty folders are left out."""

    path: Path

    @property
    def name(self) -> str:
        return f"{self.path.resolve().name or 'folder'}.tar"

    @cached_property
    def members(self) -> list[tuple[Path, bytes, int]]:
        """Path, tar header and size of each file."""
        found: list[tuple[Path, bytes, int]] = []
        for folder, folders, names in os.walk(self.path):
            folders.sort()
            for name in sorted(names):
                file = Path(folder) / name
                if file.is_file() and not file.is_symlink():
                    info = tarfile.TarInfo(str(file.relative_to(self.path)))
                    info.size = file.stat().st_size
                    found.append((file, info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape"), info.size))
        return found

    @cached_property
    def size(self) -> int:
        return sum(map(_packed_bytes, self.members)) + 2 * tarfile.BLOCKSIZE

    def identity(self) -> str:
        """Changes when a file in it does."""
        parts = [str(self.path.resolve())]
        parts += [f"{file}\0{size}\0{file.stat().st_mtime_ns}" for file, _, size in self.members]
        return "\0".join(parts)

    def read(self, start: int) -> Iterator[bytes]:
        """The tar's bytes from `start` on; FolderChanged when a file no longer has its size."""
        position = 0
        for member in self.members:
            packed = _packed_bytes(member)
            if position + packed > start:
                yield from _member_from(member, max(0, start - position))
            position += packed
        yield bytes(2 * tarfile.BLOCKSIZE)[max(0, start - position) :]


def _packed_bytes(member: tuple[Path, bytes, int]) -> int:
    _, header, size = member
    return len(header) + size + -size % tarfile.BLOCKSIZE


def _member_from(member: tuple[Path, bytes, int], start: int) -> Iterator[bytes]:
    file, header, size = member
    yield header[start:]
    offset = max(0, start - len(header))
    left = size - offset
    if left > 0:
        try:
            with file.open("rb") as content:
                content.seek(offset)
                while left > 0 and (block := content.read(min(BLOCK_BYTES, left))):
                    left -= len(block)
                    yield block
        except FileNotFoundError:
            pass
        if left > 0:
            raise FolderChanged(path=file)
    yield bytes(-size % tarfile.BLOCKSIZE)[max(0, offset - size) :]


Sendable = FileToSend | FolderToSend


def to_send(path: Path) -> Sendable:
    """What a path given to `submit` is sent as; FileMissing when there is nothing."""
    if path.is_dir():
        return FolderToSend(path)
    if not path.is_file():
        raise FileMissing(path=path)
    return FileToSend(path)


def digest(parts: list[str]) -> str:
    """A name for a request, the same as long as what it sends is the same."""
    return hashlib.sha256("\0\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def upload_names(contents: list[Sendable]) -> list[str]:
    """A name for each: its own, with as many parent folders as it takes to tell it from the others."""
    for depth in range(64):
        names = []
        for content in contents:
            parents = content.path.resolve().parts[1:-1]
            names.append("/".join([*parents[len(parents) - min(depth, len(parents)) :], content.name]))
        if len(set(names)) == len(names):
            break
    return names
