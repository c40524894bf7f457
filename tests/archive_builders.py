"""Archives for tests, sound and odd."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from unittest import mock

import zstandard

from shared.audio.synthesis import speech_like, wav_bytes


def zip_of(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return file.getvalue()


def tar_of(members: Mapping[str, bytes], mode: str = "w", format: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar (`w`) or tar.gz (`w:gz`) of these members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=format) as archive:  # type: ignore[call-overload]
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return file.getvalue()


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """One header block; GNU's binary numbers take any size."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def without_end(tar: bytes) -> bytes:
    """As a stream that was never closed: no blocks of zeros after the last member."""
    content = tar.rstrip(b"\0")
    return content + bytes(-len(content) % tarfile.BLOCKSIZE)


def packed_tar(members: Mapping[str, bytes], ending: str) -> bytes:
    """A tar compressed as its ending says: gz, bz2, xz or zst."""
    return PACKERS[ending](tar_of(members))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": lambda body: bz2.compress(body, 1),
    "xz": lambda body: lzma.compress(body, preset=0),
    "zst": zstandard.compress,
}


def zip64_of(members: Mapping[str, bytes]) -> bytes:
    """A zip with zip64 fields in its members' headers and at its end, as large ones have."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, mock.patch("zipfile.ZIP_FILECOUNT_LIMIT", 0):
        for name, body in members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(body)
        archive.close()
    return file.getvalue()


def encrypted_zip(members: Mapping[str, bytes], encrypted: str) -> bytes:
    """A zip in which one member carries the flag of encryption, in both its headers."""
    body = bytearray(zip_of(members, zipfile.ZIP_STORED))
    name = encrypted.encode()
    local = body.find(b"PK\x03\x04")
    while local >= 0:
        length = struct.unpack_from("<H", body, local + 26)[0]
        if body[local + 30 : local + 30 + length] == name:
            body[local + 6] |= 1
        local = body.find(b"PK\x03\x04", local + 4)
    central = body.find(b"PK\x01\x02")
    while central >= 0:
        length = struct.unpack_from("<H", body, central + 28)[0]
        if body[central + 46 : central + 46 + length] == name:
            body[central + 8] |= 1
        central = body.find(b"PK\x01\x02", central + 4)
    return bytes(body)


def overlapping_zip(body: bytes) -> bytes:
    """A zip whose directory names one member's bytes twice."""
    single = zip_of({"a.wav": body}, zipfile.ZIP_STORED)
    start = single.find(b"PK\x01\x02")
    end = single.find(b"PK\x05\x06")
    entry = single[start:end]
    record = bytearray(single[end:])
    struct.pack_into("<HHI", record, 8, 2, 2, 2 * len(entry))
    return single[:start] + entry + entry + bytes(record)


class Raw(NamedTuple):
    """A member of `raw_zip`: what stands in its headers, as it stands there. size: None: of the body."""

    name: bytes
    body: bytes
    method: int = 0
    packed: bytes | None = None
    extra: bytes = b""
    attributes: int = 0
    size: int | None = None


def raw_zip(members: Iterable[Raw], *, before: bytes = b"", adjusted: bool = False) -> bytes:
    """A zip with names as bytes and no flag, of any method.

    before: bytes in front of it; adjusted: offsets count them, as those of self-extracting archives do.
    """
    body, directory = bytearray(), bytearray()
    listed, shift = list(members), len(before) if adjusted else 0
    for one in listed:
        packed = one.body if one.packed is None else one.packed
        size = len(one.body) if one.size is None else one.size
        common = struct.pack("<5H3L2H", 20, 0, one.method, 0, 0x21, zlib.crc32(one.body), len(packed), size,
                             len(one.name), len(one.extra))  # fmt: skip
        directory += b"PK\x01\x02" + bytes([20, 3]) + common + struct.pack(
            "<3H2L", 0, 0, 0, one.attributes, len(body) + shift
        )  # fmt: skip
        directory += one.name + one.extra
        body += b"PK\x03\x04" + common + one.name + one.extra + packed
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, len(listed), len(listed), len(directory), len(body) + shift, 0
    )
    return before + bytes(body + directory) + end


def unicode_path(raw: bytes, name: str) -> bytes:
    """Info-ZIP's field 0x7075 for a name."""
    field = b"\x01" + struct.pack("<L", zlib.crc32(raw)) + name.encode()
    return struct.pack("<2H", 0x7075, len(field)) + field


def deflate64(body: bytes) -> bytes:
    """Literals alone, and stored blocks: valid in both deflates."""
    machine = zlib.compressobj(wbits=-15, strategy=zlib.Z_HUFFMAN_ONLY)
    return machine.compress(body) + machine.flush()


def deflate64_bomb(mebibytes: int) -> bytes:
    """Zeros as matches of 65,538 bytes, 30 bits each: a fixed block of a zero, then lengths by code 285."""
    bits = ["1", "10", "00110000"]  # last, fixed codes, the literal 0
    match = "11000101" + "1" * 16 + "00000"  # code 285, its 16 extra bits, distance 1
    bits += [match] * (mebibytes * 2**20 // 65_538)
    bits.append("0000000")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text[::-1], 2).to_bytes(len(text) // 8, "little")


ZIP_PACKERS: dict[int, Callable[[bytes], bytes]] = {
    9: deflate64, 20: zstandard.compress, 93: zstandard.compress, 95: lzma.compress,
}  # fmt: skip
LINK = 0o120777 << 16


def many_in_a_zip(count: int, says: int) -> bytes:
    """A zip of empty members; its end record says that there are `says`."""
    body, directory = bytearray(), bytearray()
    for number in range(count):
        name = b"%06d" % number
        directory += struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0,
                                 len(body)) + name  # fmt: skip
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 6, 0) + name
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, says, says, len(directory), len(body), 0)
    return bytes(body + directory) + end


def many_in_a_tar(count: int) -> bytes:
    """A tar of empty members, all of one name."""
    return tar_header("a.wav", 0) * count + bytes(2 * tarfile.BLOCKSIZE)


def tar_stream(total_bytes: int) -> Iterator[bytes]:
    """A tar of stereo recordings of 30 s at 48 kHz (5.8 MB each), made as it is sent."""
    voice = speech_like("angry", 48_000, 30.0, seed=5)
    sent = number = 0
    while sent < total_bytes:
        voice[:8] = number / 2**15  # each clip its own bytes, or they would be duplicates
        body = wav_bytes(voice[:, None].repeat(2, axis=1), 48_000)
        info = tarfile.TarInfo(f"{number:05d}.wav")
        info.size = len(body)
        yield info.tobuf() + body + bytes(-len(body) % tarfile.BLOCKSIZE)
        sent += len(body)
        number += 1
    yield bytes(2 * tarfile.BLOCKSIZE)
