"""What a client sends: a file, or a folder as a tar that is made while it is sent.

Both have a size that is known before, and can be read from any byte on, so that a broken upload goes on
where it was.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

from voxmood.errors import FileMissing, FolderChanged, NotSendable

BLOCK_BYTES = 2**20
_TYPES = {stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE}


def escaped(name: str) -> str:
    """A file's name as an upload's: what is not UTF-8, and control characters, backslash-escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(f"\\x{ord(letter):02x}" if letter < " " or letter == "\x7f" else letter for letter in text)


class Content(Protocol):
    """Bytes of an upload: their number, and all of them from any byte on."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def read(self, start: int) -> Iterator[bytes]:
        """Its bytes from `start` on."""
        ...


@dataclass(frozen=True)
class OpenFile:
    """What a program holds already: an open binary file, or `io.BytesIO`.

    >>> import io
    >>> b"".join(OpenFile(io.BytesIO(b"recording"), size=9).read(3))
    b'ording'
    """

    file: BinaryIO
    size: int

    def read(self, start: int) -> Iterator[bytes]:
        """Its bytes from `start` on."""
        self.file.seek(start)
        while block := self.file.read(BLOCK_BYTES):
            yield block


@dataclass(frozen=True)
class FileToSend:
    """A file as it is."""

    path: Path

    @property
    def name(self) -> str:
        """Its name as an upload."""
        return escaped(self.path.name)

    @cached_property
    def size(self) -> int:
        """Bytes in all."""
        return self.path.stat().st_size

    def identity(self) -> str:
        """Changes when the file does: path, size and time of change."""
        stat = self.path.stat()
        return f"{self.path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"

    def read(self, start: int) -> Iterator[bytes]:
        """Its bytes from `start` on."""
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                while block := file.read(BLOCK_BYTES):
                    yield block
        except FileNotFoundError as error:
            raise FileMissing(path=self.path) from error
        except OSError as error:
            raise NotSendable(path=self.path, reason=error.strerror) from error


@dataclass(frozen=True)
class FolderToSend:
    """A folder as a tar of its files, sorted by path; empty folders are left out.

    Links are followed. One that leads nowhere, or back to a folder that it lies in, is sent as a link, and so
    becomes a row that says so; pipes and devices likewise.
    """

    path: Path

    @property
    def name(self) -> str:
        """Its name as an upload."""
        return escaped(f"{self.path.resolve().name or 'folder'}.tar")

    @cached_property
    def members(self) -> list[tuple[Path, bytes, int]]:
        """Path, tar header and size of each file; NotSendable where a folder cannot be read."""
        return list(self._found(self.path, frozenset()))

    def _found(self, folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[Path, bytes, int]]:
        """above: the folders that this one lies in, by device and inode."""
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise NotSendable(path=folder, reason=error.strerror) from error
        above |= {(status.st_dev, status.st_ino)}
        folders = []
        for entry in entries:
            file = folder / entry.name
            try:
                found = file.stat()
            except OSError as error:
                if not entry.is_symlink():
                    raise NotSendable(path=file, reason=error.strerror) from error
                yield self._special(file, tarfile.SYMTYPE)
                continue
            if stat.S_ISDIR(found.st_mode):
                if (found.st_dev, found.st_ino) in above:
                    yield self._special(file, tarfile.SYMTYPE)
                else:
                    folders.append(file)
            elif stat.S_ISREG(found.st_mode):
                info = tarfile.TarInfo(str(file.relative_to(self.path)))
                info.size = found.st_size
                yield file, _header(info), info.size
            elif kind := _TYPES.get(stat.S_IFMT(found.st_mode)):
                yield self._special(file, kind)
            else:
                raise NotSendable(path=file, reason="it is a socket, not a file")
        for inner in folders:
            yield from self._found(inner, above)

    def _special(self, file: Path, kind: bytes) -> tuple[Path, bytes, int]:
        info = tarfile.TarInfo(str(file.relative_to(self.path)))
        info.type = kind
        if kind == tarfile.SYMTYPE:
            info.linkname = str(file.readlink())
        return file, _header(info), 0

    @cached_property
    def size(self) -> int:
        """Bytes of the tar."""
        return sum(map(_packed_bytes, self.members)) + 2 * tarfile.BLOCKSIZE

    def identity(self) -> str:
        """Changes when a file in it does."""
        parts = [str(self.path.resolve())]
        parts += [f"{file}\0{size}\0{_changed_at(file)}" for file, _, size in self.members]
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


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape")


def _changed_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # a link that leads nowhere
        return file.lstat().st_mtime_ns


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
        except OSError as error:
            raise NotSendable(path=file, reason=error.strerror) from error
        if left > 0:
            raise FolderChanged(path=file)
    yield bytes(-size % tarfile.BLOCKSIZE)[max(0, offset - size) :]


Sendable = FileToSend | FolderToSend


def to_send(path: Path) -> Sendable:
    """What a path given to `submit` is sent as; FileMissing: there is nothing; NotSendable: it is no file."""
    if path.is_dir():
        return FolderToSend(path)
    if path.is_symlink() and not path.exists():
        raise NotSendable(path=path, reason=f"it is a link to {path.readlink()}, which does not exist")
    if not path.exists():
        raise FileMissing(path=path)
    if not path.is_file():
        raise NotSendable(path=path, reason="it is neither a file nor a folder")
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
            names.append(
                "/".join([*map(escaped, parents[len(parents) - min(depth, len(parents)) :]), content.name])
            )
        if len(set(names)) == len(names):
            break
    return names
