"""Promise 4: no archive that is built to do harm crashes the reader, hangs it or takes its memory."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.archive_builders import (
    PACKERS,
    Raw,
    deflate64_bomb,
    many_in_a_tar,
    many_in_a_zip,
    overlapping_zip,
    packed_tar,
    raw_zip,
    tar_header,
    tar_of,
    zip_of,
)
from tests.archive_reader import MEMORY_BYTES
from tests.archive_reading import Reader, reading


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with reading() as read:
        yield read


def zeros_in_frames(ending: str, mebibytes: int) -> bytes:
    """A tar of one member of zeros, as frames that repeat."""
    pack = PACKERS[ending]
    return pack(tar_header("bomb.wav", mebibytes * 2**20)) + pack(bytes(2**24)) * (mebibytes // 16)


def with_wide_dictionary(xz: bytes) -> bytes:
    """An xz file whose header asks for a dictionary of 256 MiB."""
    start, length = 12, (xz[12] + 1) * 4
    header = bytearray(xz[start : start + length - 4])
    header[4] = 32  # 2 << (32 / 2 + 11)
    return xz[:start] + bytes(header) + struct.pack("<L", zlib.crc32(header)) + xz[start + length :]


def lzma_zip_with_wide_dictionary() -> bytes:
    archive = bytearray(zip_of({"a.wav": bytes(1000)}, zipfile.ZIP_LZMA))
    struct.pack_into("<L", archive, 30 + len("a.wav") + 5, 2**31)
    return bytes(archive)


def sparse_tar() -> bytes:
    """Old GNU sparse format, its map going on over 3,000 blocks."""
    header = bytearray(tar_header("holes.wav", 512, tarfile.GNUTYPE_SPARSE))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    more = bytearray(512)
    more[504] = 1
    return bytes(header) + bytes(more) * 3000 + bytes(1024) + tar_of({"after.wav": b"1"})


def zip_with_size(size: int) -> bytes:
    """A zip whose directory gives its member this size."""
    archive = bytearray(zip_of({"a.wav": bytes(range(256)) * 8}))
    struct.pack_into("<L", archive, archive.find(b"PK\x01\x02") + 24, size)
    return bytes(archive)


# archive, error code that ends it, and its first members with an error code or their bytes
HOSTILE: dict[str, tuple[Callable[[], bytes], str | None, list[tuple[str, int | str]]]] = {
    "overlapping entries": (lambda: overlapping_zip(bytes(1000)), "overlapping_members", []),
    **{
        f"a bomb in tar.{ending}": (lambda e=ending: zeros_in_frames(e, 192), "unlikely_ratio", [])
        for ending in PACKERS
    },
    **{
        f"a bomb in a zip, method {method}": (
            lambda m=method, n=size: zip_of({"bomb.wav": bytes(n * 10**6)}, m), "unlikely_ratio", []
        )
        for method, size in ((zipfile.ZIP_DEFLATED, 20), (zipfile.ZIP_BZIP2, 120), (zipfile.ZIP_LZMA, 20))
    },
    **{
        f"a bomb in a zip, method {method}": (
            lambda m=method, b=packed: raw_zip([Raw(b"bomb.wav", b"", m, b(), size=192 * 2**20)]),
            "unlikely_ratio", [],
        )
        for method, packed in (
            (9, lambda: deflate64_bomb(192)), (93, lambda: PACKERS["zst"](bytes(2**24)) * 12),
            (95, lambda: lzma.compress(bytes(192 * 2**20), preset=0)),
        )
    },
    "a bomb in a zip without directory": (
        lambda: zip_of({"bomb.wav": bytes(20 * 10**6)})[:-30], "unlikely_ratio", []
    ),
    "a zip that says less": (lambda: zip_with_size(100), None, [("a.wav", "damaged_member")]),
    "a zip that says more": (lambda: zip_with_size(2**32 - 2), None, [("a.wav", "damaged_member")]),
    "a tar that says more": (
        lambda: tar_header("a.wav", 2**62) + bytes(2000), "damaged_archive", [("a.wav", "damaged_member")]
    ),
    "litter that says more": (lambda: tar_header("._a.wav", 2**62) + bytes(2000), "damaged_archive", []),
    "less than nothing": (lambda: tar_header("a.wav", -512) + bytes(2000), "damaged_archive", []),
    "a link to outside": (
        lambda: tar_header("../link", 0, tarfile.SYMTYPE) + tar_of({"a.wav": b"1"}), None,
        [("../link", "not_a_file"), ("a.wav", 1)],
    ),
    "a device": (
        lambda: tar_header("disk", 0, tarfile.BLKTYPE) + bytes(1024), None, [("disk", "not_a_file")]
    ),
    "a sparse file": (sparse_tar, None, [("holes.wav", "not_a_file"), ("after.wav", 1)]),
    "an endless header": (
        lambda: tar_header("long", 2**40, tarfile.GNUTYPE_LONGNAME) + bytes(4096), "damaged_archive", []
    ),
    "header after header": (
        lambda: tar_header("long", 0, tarfile.GNUTYPE_LONGNAME) * 5000 + tar_of({"a": b""}),
        "damaged_archive", [],
    ),
    "a pax header of digits": (
        lambda: tar_header("pax", 120_000, tarfile.XHDTYPE) + b"1" * 120_320, "damaged_archive", []
    ),
    "250,001 members": (lambda: many_in_a_zip(250_001, 250_001 & 0xFFFF), "too_many_members", []),
    "250,001 members that are said to be one": (lambda: many_in_a_zip(250_001, 1), "too_many_members", []),
    "a wide window in xz": (
        lambda: with_wide_dictionary(packed_tar({"a": b"1"}, "xz")), "window_too_large", []
    ),
    "a wide window in zstd": (
        lambda: b"\x28\xb5\x2f\xfd\x00\x90" + b"\x01\x00\x00", "window_too_large", []
    ),
    "a wide window of zstd in a zip": (
        lambda: raw_zip([Raw(b"a.wav", b"1", 93, b"\x28\xb5\x2f\xfd\x00\x90" + b"\x01\x00\x00")]),
        None, [("a.wav", "damaged_member")],
    ),
    "a wide dictionary of xz in a zip": (
        lambda: raw_zip([Raw(b"a.wav", b"1", 95, with_wide_dictionary(PACKERS["xz"](b"1")))]),
        None, [("a.wav", "damaged_member")],
    ),
    "a wide dictionary in a zip": (lzma_zip_with_wide_dictionary, None, [("a.wav", "damaged_member")]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_built_to_do_harm_ends_with_a_sentence(reader: Reader, name: str) -> None:
    archive, ended, found = HOSTILE[name]
    answer = reader(archive())
    assert answer["ended"] == ended
    assert [tuple(member) for member in answer["found"]] == found


def lightly_packed(tar: bytes) -> bytes:
    """A tar.gz of about a fifth of the size, so that its ratio does not end it first."""
    machine = zlib.compressobj(wbits=31, strategy=zlib.Z_HUFFMAN_ONLY)
    return machine.compress(tar) + machine.flush()


@pytest.mark.long
@pytest.mark.parametrize("pack", [bytes, lightly_packed], ids=["tar", "tar.gz"])
def test_the_250_001st_member_of_a_tar_ends_it(reader: Reader, pack: Callable[[bytes], bytes]) -> None:
    answer = reader(pack(many_in_a_tar(250_001)))  # 12 s: each has a header of its own to be read
    assert (answer["members"], answer["ended"]) == (250_000, "too_many_members")


def test_the_memory_limit_of_these_tests_is_one() -> None:
    with reading() as read:
        wide = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**26, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}]
        assert read(lzma.compress(tar_of({"a.wav": b"1"}), filters=wide))["found"] == [["a.wav", 1]]
        with pytest.raises(AssertionError, match="MemoryError"):  # Python 3.13 lives on to say so itself
            read(b"RIFF" + bytes(MEMORY_BYTES))
