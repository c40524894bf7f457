"""Checksums made right again after a change, or few changes would come past them into a decoder."""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Iterator

PAGE_HEADER_BYTES = 27
OGG_POLYNOMIAL = 0x04C11DB7
BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def with_serial(ogg: bytes, serial: int = 1) -> bytes:
    """The same stream with this serial number; libsndfile takes a random one."""
    body = bytearray(ogg)
    for start, _ in _pages(body):
        struct.pack_into("<L", body, start + 14, serial)
    return ogg_repaired(bytes(body))


def ogg_repaired(ogg: bytes) -> bytes:
    """Each page with its own checksum."""
    body = bytearray(ogg)
    for start, end in _pages(body):
        body[start + 22 : start + 26] = bytes(4)
        struct.pack_into("<L", body, start + 22, _ogg_checksum(bytes(body[start:end])))
    return bytes(body)


def _pages(body: bytearray) -> Iterator[tuple[int, int]]:
    start = body.find(b"OggS")
    while 0 <= start <= len(body) - PAGE_HEADER_BYTES:
        count = body[start + 26]
        lengths = body[start + PAGE_HEADER_BYTES : start + PAGE_HEADER_BYTES + count]
        yield start, min(len(body), start + PAGE_HEADER_BYTES + count + sum(lengths))
        start = body.find(b"OggS", start + 4)


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 with its bits the other way round, from 0 and not inverted: zlib's, turned."""
    turned = zlib.crc32(page.translate(BITS_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{turned:032b}"[::-1], 2)


def tar_repaired(tar: bytes) -> bytes:
    """Each header with its own checksum."""
    body = bytearray(tar)
    for start in range(0, len(body) - tarfile.BLOCKSIZE + 1, tarfile.BLOCKSIZE):
        if body[start + 257 : start + 262] == b"ustar":
            body[start + 148 : start + 156] = b" " * 8
            total = sum(body[start : start + tarfile.BLOCKSIZE])
            body[start + 148 : start + 156] = b"%06o\0 " % total
    return bytes(body)
