"""What is done to a seed: one to ten changes, then checksums made right, perhaps an archive around it."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Sequence
from random import Random

from tests.archive_builders import PACKERS, tar_of, zip_of
from tests.fuzz.checksums import ogg_repaired, tar_repaired

MOST_BYTES = 2**20  # an input grows no further: an hour of mutations tries more small ones
# Behind these lie sizes, counts and rates.
MARKS = (
    b"RIFF", b"RF64", b"WAVE", b"fmt ", b"data", b"ds64", b"fact", b"LIST", b"bext", b"cue ", b"riff",
    b"FORM", b"AIFF", b"COMM", b"SSND", b"FVER", b"fLaC", b"OggS", b"vorbis", b"OpusHead", b"ID3", b"Xing",
    b"Info", b"ftyp", b"moov", b"mvhd", b"mdhd", b"stsd", b"mp4a", b"alac", b"esds", b"stts", b"stsz",
    b"stsc", b"stco", b"mdat", b"samr", b"#!AMR", b".snd", b"caff", b"desc", b"pakt", b"kuki", b"8SVX",
    b"VHDR", b"BODY", b"Creative", b"NIST", b"2BIT", b"PVF1", b" paf", b"Extended", b"MATLAB",
    b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x07\x08", b"BZh", b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd", b"\x1f\x8b",
)  # fmt: skip
FIELD_REACH = 64
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 63, 64, 127, 128, 255, 256, 1023, 4095, 8_000, 32_767, 32_768, 48_000,
           65_535, 65_536, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**63 - 1, 2**63,
           2**64 - 1)  # fmt: skip
# Of a tar header: offset and bytes of name, mode, size, time, checksum, type, link, prefix.
TAR_FIELDS = ((0, 100), (100, 8), (124, 12), (124, 12), (136, 12), (148, 8), (156, 1), (157, 100), (345, 155))
TAR_TYPES = b"01234567xgLKSDVMNXA\0"
CHANGES = (1, 1, 1, 2, 2, 3, 5, 10)


def mutated(seeds: Sequence[bytes], chance: Random) -> bytes:
    """An input: a seed that was changed. The same from the same state of `chance`."""
    body = bytearray(chance.choice(seeds))
    for _ in range(chance.choice(CHANGES)):
        chance.choice(MUTATIONS)(body, chance)
    if chance.random() < 0.1:
        body = _spliced(body, chance.choice(seeds), chance)
    del body[MOST_BYTES:]
    made = bytes(body)
    if chance.random() < 0.8:
        made = _repaired(made)
    return _packed(made, chance) if chance.random() < 0.15 else made


def _repaired(body: bytes) -> bytes:
    if body.startswith(b"OggS"):
        return ogg_repaired(body)
    return tar_repaired(body) if body[257:262] == b"ustar" else body


def _packed(body: bytes, chance: Random) -> bytes:
    """As the member of an archive; a tar is compressed instead, so that the changes are inside."""
    if body[257:262] == b"ustar":
        return PACKERS[chance.choice(list(PACKERS))](body)
    members = {"a.wav": body, "b.wav": body[: len(body) // 2]}
    if chance.random() < 0.5:
        return tar_of(members)
    return zip_of(members, chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _place(body: bytearray, chance: Random) -> int:
    """Anywhere, but every other time in the first 256 bytes, where headers are."""
    most = min(len(body), 256) if chance.random() < 0.5 else len(body)
    return chance.randrange(most) if most else 0


def _block(body: bytearray, chance: Random) -> slice:
    start = _place(body, chance)
    return slice(start, start + chance.choice((1, 2, 4, 8, 30, 46, 512, 1024, 4096)))


def _flip(body: bytearray, chance: Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8))):
        if body:
            body[_place(body, chance)] ^= 1 << chance.randrange(8)


def _overwrite(body: bytearray, chance: Random) -> None:
    place = _place(body, chance)
    count = min(chance.choice((1, 2, 4, 16, 300)), len(body) - place)
    body[place : place + count] = chance.choice((chance.randbytes(count), bytes(count), b"\xff" * count))


def _cut(body: bytearray, chance: Random) -> None:
    del body[_place(body, chance) :]


def _drop(body: bytearray, chance: Random) -> None:
    del body[_block(body, chance)]


def _insert(body: bytearray, chance: Random) -> None:
    count = chance.choice((1, 2, 4, 64, 512, 5_000))
    place = _place(body, chance)
    body[place:place] = chance.choice((chance.randbytes(count), bytes(count)))


def _repeat(body: bytearray, chance: Random) -> None:
    block = bytes(body[_block(body, chance)])
    place = _place(body, chance)
    body[place:place] = block * chance.choice((1, 1, 3, 50))


def _swap(body: bytearray, chance: Random) -> None:
    one, other = _block(body, chance), _block(body, chance)
    body[one], body[other] = bytes(body[other]), bytes(body[one])


def _number(body: bytearray, chance: Random) -> None:
    """An edge of some range where a number lies: behind a mark, or anywhere."""
    found = [place for mark in MARKS if (place := body.find(mark)) >= 0]
    if found and chance.random() < 0.8:
        mark = bytes(body[(first := chance.choice(found)) : first + 4])
        places = [first]
        while (following := body.find(mark, places[-1] + 4)) >= 0 and len(places) < 50:
            places.append(following)
        place = chance.choice(places) + chance.randrange(FIELD_REACH)
    else:
        place = _place(body, chance)
    width = chance.choice((1, 2, 4, 4, 8))
    number = chance.choice((*NUMBERS, len(body), len(body) - 1, len(body) + 1, chance.getrandbits(64)))
    value = (number % 2 ** (8 * width)).to_bytes(width, chance.choice(("little", "big")))
    if place + width <= len(body):
        body[place : place + width] = value


def _tar_field(body: bytearray, chance: Random) -> None:
    if body[257:262] != b"ustar":
        _number(body, chance)
        return
    headers = [at for at in range(0, len(body), tarfile.BLOCKSIZE) if body[at + 257 : at + 262] == b"ustar"]
    offset, width = chance.choice(TAR_FIELDS)
    number = chance.choice((*NUMBERS, len(body)))
    value = chance.choice(
        (
            b"%o\0" % number,
            b"\x80" + number.to_bytes(max(width - 1, 8), "big"),
            b"-%o" % number,
            chance.randbytes(width),
            b"a" * width,
            bytes([chance.choice(TAR_TYPES)]),
        )
    )[:width]
    place = chance.choice(headers) + offset
    body[place : place + len(value)] = value


def _pax(body: bytearray, chance: Random) -> None:
    """A pax header before a tar's member, or a comment-like run of text elsewhere."""
    key = chance.choice((b"path", b"size", b"GNU.sparse.name", b"GNU.sparse.major", b"hdrcharset", b"\xff"))
    value = chance.choice((b"", b"1", b"-1", b"9" * 30, b"\xd9\xa3", b"a\0b", b"../x", chance.randbytes(9)))
    record = b" " + key + b"=" + value + b"\n"
    length = chance.choice((len(record) + 2, 0, 1, 10**9, len(record)))
    text = b"%d" % length + record
    if body[257:262] == b"ustar":
        info = tarfile.TarInfo("pax")
        info.size, info.type = len(text), chance.choice((tarfile.XHDTYPE, tarfile.XGLTYPE))
        body[0:0] = info.tobuf(tarfile.USTAR_FORMAT) + text + bytes(-len(text) % tarfile.BLOCKSIZE)
    else:
        place = _place(body, chance)
        body[place : place + len(text)] = text


MUTATIONS = (_flip, _flip, _overwrite, _cut, _drop, _insert, _repeat, _swap, _number, _number, _number,
             _number, _tar_field, _pax)  # fmt: skip


def _spliced(body: bytearray, other: bytes, chance: Random) -> bytearray:
    """Two kinds in one: the head of one, the rest of the other; or one behind the other."""
    cut = chance.choice((len(body), _place(body, chance)))
    return body[:cut] + other[chance.choice((0, min(cut, len(other)))) :]
