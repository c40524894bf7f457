"""Compressed data as a stream whose memory is bounded, whatever the data holds.

A block of 64 kB can unpack to gigabytes. So no decompressor is asked for all of its output: it gives one MiB
at a time. (`zipfile`, which unpacks bzip2 and LZMA by whole blocks, and `tarfile` do not work like this.)
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import zstandard

from shared.archives.deflate64 import Deflate64
from shared.archives.kinds import Kind
from shared.archives.member import BLOCK_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PACKED_BYTES = 2**16
# A zstd block of 4 bytes gives 128 KiB, and zstandard's decompressor all that its input gives: 16 MiB.
ZSTD_PACKED_BYTES = 512
DAMAGE = (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError, OSError, ValueError, struct.error)
BREAKS_OFF = "its compressed data breaks off"
STORED, DEFLATED, DEFLATED64, BZIP2, LZMA, OLD_ZSTD, ZSTD, XZ = 0, 8, 9, 12, 14, 20, 93, 95
METHODS = {STORED, DEFLATED, DEFLATED64, BZIP2, LZMA, OLD_ZSTD, ZSTD, XZ}
SEVERAL_STREAMS = {OLD_ZSTD, ZSTD, XZ}  # may follow one another in one member


class Decompressor(Protocol):
    """What the decompressors of the modules bz2 and lzma have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether more output takes more input."""

    @property
    def unused_data(self) -> bytes:
        """The input that follows the end of the stream."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Unpack some data.

        Args:
            data: the next input; may be empty while `needs_input` is false.
            max_length: the most bytes that are returned; -1 for all.

        Returns:
            The next bytes of output; may be empty.
        """


class Deflate:
    """The raw deflate of zlib, with the interface of the decompressors of bz2 and lzma."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        self._filled = False

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""
        return self._decompressor.eof

    @property
    def needs_input(self) -> bool:
        """Whether all input so far has been unpacked."""
        return not self._filled

    @property
    def unused_data(self) -> bytes:
        """The input that follows the end of the stream."""
        return self._decompressor.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Unpack some data; see `Decompressor.decompress`."""
        unpacked = self._decompressor.decompress(self._decompressor.unconsumed_tail + data, max_length)
        self._filled = len(unpacked) == max_length
        return unpacked


class _ZstdFrame:
    """The decompressor of zstandard with the same interface.

    It cannot bound its output, so its callers bound its input instead.
    """

    needs_input = True

    def __init__(self, window_bytes: int) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=window_bytes).decompressobj()

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._decompressor.decompress(data)


def zip_lzma(header: bytes, window_bytes: int) -> Decompressor:
    """The decompressor of a zip member that is packed with LZMA.

    Args:
        header: the 9 bytes before its data (APPNOTE 5.8.8).
        window_bytes: the most memory that its dictionary may take.

    Raises:
        ValueError: the header is damaged, or the dictionary would take more than that.
    """
    _version, length, properties, dict_size = struct.unpack("<HHBI", header)
    if length != 5 or properties >= 9 * 5 * 5:
        raise ValueError("its LZMA header is damaged")
    if dict_size > window_bytes:
        raise ValueError(f"its LZMA dictionary takes {dict_size} bytes, over VOXMOOD_MAX_WINDOW_BYTES")
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    chain = [{"id": lzma.FILTER_LZMA1, "dict_size": dict_size, "lc": lc, "lp": lp, "pb": pb}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)


def zip_decompressor(method: int, window_bytes: int) -> Decompressor:
    """The decompressor of a zip member, by the number of its compression method.

    Args:
        method: a number of `METHODS`, but neither STORED nor LZMA, which takes its header (`zip_lzma`).
        window_bytes: the most memory that xz and zstd may take.
    """
    if method == DEFLATED64:
        return Deflate64()
    if method == BZIP2:
        return bz2.BZ2Decompressor()
    if method in (ZSTD, OLD_ZSTD):
        return _ZstdFrame(window_bytes)
    if method == XZ:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=window_bytes)
    return Deflate()


def packed_bytes(method: int) -> int:
    """How many packed bytes a decompressor of this method is given at once."""
    return ZSTD_PACKED_BYTES if method in (ZSTD, OLD_ZSTD) else PACKED_BYTES


def unpacked(
    packed: Iterator[bytes], decompressor: Decompressor, new: Callable[[], Decompressor] | None = None
) -> Iterator[bytes]:
    """The content of a compressed stream, up to a MiB at a time.

    Args:
        packed: the packed data, block by block.
        decompressor: of the first stream.
        new: makes a decompressor for each further stream, for methods whose streams may follow one another.

    Raises:
        EOFError: the data breaks off.
    """
    for block in packed:
        data = block
        while True:
            yield decompressor.decompress(data, BLOCK_BYTES)
            while not decompressor.eof and not decompressor.needs_input:
                yield decompressor.decompress(b"", BLOCK_BYTES)
            if not decompressor.eof:
                break
            if new is None:
                return
            data, decompressor = decompressor.unused_data, new()
            if not data:
                break
    raise EOFError(BREAKS_OFF)


def opened(source: BinaryIO, kind: Kind, window_bytes: int) -> BinaryIO:
    """The tar inside a compressed upload, as a file that is read forwards.

    Args:
        source: the upload, at its beginning.
        kind: its compression; of an uncompressed tar the source itself is returned.
        window_bytes: the most memory that xz, LZMA and zstd may take.

    Returns:
        A file whose `read` raises one of `DAMAGE`; where the memory would not do, `is_about_memory` holds for
        that error.
    """
    if kind is Kind.TAR_GZ:
        return cast("BinaryIO", gzip.GzipFile(fileobj=source))
    if kind is Kind.TAR_BZ2:
        return cast("BinaryIO", bz2.BZ2File(source))
    if kind is Kind.TAR_XZ:
        frames = _Frames(
            source, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=window_bytes), PACKED_BYTES
        )
        return cast("BinaryIO", io.BufferedReader(frames, BLOCK_BYTES))
    if kind is Kind.TAR_LZMA:
        frames = _Frames(
            source, lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=window_bytes), PACKED_BYTES
        )
        return cast("BinaryIO", io.BufferedReader(frames, BLOCK_BYTES))
    if kind is Kind.TAR_ZST:
        frames = _Frames(source, lambda: _ZstdFrame(window_bytes), ZSTD_PACKED_BYTES)
        return cast("BinaryIO", io.BufferedReader(frames, BLOCK_BYTES))
    return source


def is_about_memory(cause: BaseException) -> bool:
    """Whether xz or zstd refused because of the memory limit, for which they have no error of its own."""
    return isinstance(cause, lzma.LZMAError | zstandard.ZstdError) and "memory" in str(cause).lower()


class _Frames(io.RawIOBase):
    """Compressed frames that follow one another, as `cat` and parallel packers leave them, as one file."""

    def __init__(self, source: BinaryIO, new: Callable[[], Decompressor], packed_bytes: int) -> None:
        self._source = source
        self._new = new
        self._packed_bytes = packed_bytes
        self._decompressor = new()
        self._begun = False
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while not self._unpacked:
            if not self._advance():
                return 0
        count = min(len(view), len(self._unpacked))
        view[:count] = self._unpacked[:count]
        self._unpacked = self._unpacked[count:]
        return count

    def _advance(self) -> bool:
        """Take one step of the decompressor; false at the end of the source."""
        data = b""
        if self._decompressor.eof:
            data = self._decompressor.unused_data.lstrip(b"\0")
            self._decompressor, self._begun = self._new(), False
        while not data and self._decompressor.needs_input:
            data = self._source.read(self._packed_bytes)
            if not data:
                if self._begun:
                    raise EOFError(BREAKS_OFF)
                return False
            if not self._begun:
                data = data.lstrip(b"\0")  # xz pads its frames with zeros; none begins with one
        self._begun = True
        self._unpacked = memoryview(self._decompressor.decompress(data, BLOCK_BYTES))
        return True
