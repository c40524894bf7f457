"""Archives as people's tools write them: names without a word on their encoding, methods, bytes before."""

from __future__ import annotations

import io
import lzma
import random
import struct
import tarfile
import zipfile
from contextlib import suppress

import pytest

from shared.archives import Kind, checked_encoding, kind_in, members
from shared.archives import limits as limits_module
from shared.archives.deflate64 import Deflate64
from shared.archives.directory import SPLIT_MARKER
from shared.core.errors.recordings import ClipError, DamagedMember
from shared.core.errors.uploads import (
    DamagedArchive,
    NamesGuessed,
    SplitArchive,
    UnknownEncoding,
    UnlikelyRatio,
)
from shared.core.settings import Settings
from shared.limits import archive_limits
from tests.archive_builders import (
    LINK,
    ZIP_PACKERS,
    Raw,
    deflate64,
    deflate64_bomb,
    raw_zip,
    tar_of,
    unicode_path,
    zip_of,
)

NOISE = b"RIFF" + random.Random(3).randbytes(300_000)
NFD = "Gespra\u0308che/Mu\u0308ller.wav"
JAPANESE = "録音/怒り ソ.wav"


def read(archive: bytes, name: str = "in.zip", encoding: str | None = None) -> dict[str, object]:
    """Bytes or errors by path."""
    found: dict[str, object] = {}
    source = io.BytesIO(archive)
    for member in members(
        source, name, kind_in(source, name), archive_limits(Settings()), None, encoding
    ):  # fmt: skip
        try:
            found[member.path] = member.error or b"".join(member.chunks())
        except ClipError as error:
            found[member.path] = error
    return found


@pytest.mark.parametrize("lost", [0, 30], ids=["by its directory", "forwards"])
@pytest.mark.parametrize(
    ("raw", "extra", "encoding", "name"),
    [
        (NFD.encode(), b"", None, NFD),
        (NFD.encode(), b"", "cp932", NFD),
        (b"\x81.wav", unicode_path(b"\x81.wav", "ü.wav"), None, "ü.wav"),
        (b"\x81.wav", unicode_path(b"another", "ä.wav"), None, "ü.wav"),
        (JAPANESE.encode("cp932"), b"", "cp932", JAPANESE),
        ("песня.wav".encode("cp866"), b"", "cp866", "песня.wav"),
        (b"\x81 .wav", b"", "cp932", "\\x81 .wav"),
    ],
)
def test_names_without_a_flag_are_read(
    lost: int, raw: bytes, extra: bytes, encoding: str | None, name: str
) -> None:
    archive = raw_zip([Raw(raw, b"1", extra=extra)])
    found: list[str] = []
    source = io.BytesIO(archive[: len(archive) - lost])
    with suppress(DamagedArchive, NamesGuessed):
        for member in members(source, "in.zip", Kind.ZIP, archive_limits(Settings()), None, encoding):
            found.append(member.path)
            list(member.chunks())
    assert found == [name]


def test_a_guessed_encoding_is_said_after_the_rows() -> None:
    with pytest.raises(NamesGuessed, match="voxmood submit --encoding cp932"):
        read(raw_zip([Raw("怒り.wav".encode("cp932"), b"1")]))


def test_a_tar_s_names_are_read_in_the_encoding_that_is_named() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT, encoding="gbk") as archive:
        archive.addfile(tarfile.TarInfo("愤怒.wav"))
    assert list(read(file.getvalue(), "in.tar", encoding="gbk")) == ["愤怒.wav"]
    assert list(read(file.getvalue(), "in.tar")) != ["愤怒.wav"]


@pytest.mark.parametrize("name", ["cp932", "GBK", "cp866", "latin-1", "shift_jis", "big5", "euc-kr"])
def test_an_encoding_of_names_is_known(name: str) -> None:
    assert b"a".decode(checked_encoding(name)) == "a"


@pytest.mark.parametrize(
    "name", ["", "klingon", "utf-16", "cp037", "unicode_escape", "idna", "base64", "a\0"]
)
def test_what_is_no_encoding_of_names_is_refused(name: str) -> None:
    with pytest.raises(UnknownEncoding, match="no encoding of file names that is known"):
        checked_encoding(name)


def test_folders_with_a_backslash_are_no_rows() -> None:
    members = [Raw(b"day one\\", b""), Raw(b"day one\\a.wav", b"1"), Raw(b"odd\\", b"2")]
    assert list(read(raw_zip(members))) == ["day one\\a.wav", "odd\\"]


@pytest.mark.parametrize("lost", [0, 30], ids=["by its directory", "forwards"])
@pytest.mark.parametrize("method", ZIP_PACKERS)
def test_other_methods_are_read(method: int, lost: int) -> None:
    archive = raw_zip([Raw(b"a.wav", NOISE, method, ZIP_PACKERS[method](NOISE)), Raw(b"b.wav", b"2")])
    found: dict[str, object] = {}
    with suppress(DamagedArchive):
        source = io.BytesIO(archive[: len(archive) - lost])
        for member in members(source, "in.zip", Kind.ZIP, archive_limits(Settings())):
            found[member.path] = b"".join(member.chunks())
    assert found == {"a.wav": NOISE, "b.wav": b"2"}


@pytest.mark.parametrize("at_once", [1, 7, 1000, 10**6])
def test_deflate64_is_read_whatever_its_input_is_cut_into(at_once: int) -> None:
    body = NOISE[:20_000] + b"abc" * 2000 + bytes(50_000)
    packed = deflate64(body) + b"rest"
    machine, out = Deflate64(), bytearray()
    for start in range(0, len(packed), at_once):
        out += machine.decompress(packed[start : start + at_once])
        while not machine.eof and not machine.needs_input:
            out += machine.decompress(b"")
    assert (bytes(out), machine.eof) == (body, True)
    assert machine.unused_data == b"rest"


def test_deflate64_without_a_code_for_its_bits_is_damage_at_once() -> None:
    with pytest.raises(ValueError, match="damaged"):
        for _ in range(100):
            Deflate64().decompress((0b101).to_bytes(3, "little") + bytes(10**6))


BOMBS = {9: deflate64_bomb, 93: lambda n: ZIP_PACKERS[93](bytes(n * 2**20)),
         95: lambda n: ZIP_PACKERS[95](bytes(n * 2**20))}  # fmt: skip


@pytest.mark.parametrize("method", BOMBS)
def test_a_bomb_of_any_method_is_held_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch, method: int) -> None:
    monkeypatch.setattr(limits_module, "RATIO_FREE_BYTES", 8 * 2**20)
    archive = raw_zip([Raw(b"a.wav", b"", method, BOMBS[method](64), size=2**31)])
    pieces: list[int] = []
    with pytest.raises(UnlikelyRatio):
        limits = archive_limits(Settings(max_unpack_ratio=20))
        for member in members(io.BytesIO(archive), "in.zip", Kind.ZIP, limits):
            pieces.extend(map(len, member.chunks()))
    assert max(pieces, default=0) <= 2**24
    assert sum(pieces) < 40 * 2**20


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("before", [b"\r\n", b"MZ" + bytes(3000)])
def test_bytes_before_a_zip_are_passed_over(before: bytes, adjusted: bool) -> None:
    archive = raw_zip([Raw(b"a.wav", b"1"), Raw(b"b.wav", b"2")], before=before, adjusted=adjusted)
    assert read(archive) == {"a.wav": b"1", "b.wav": b"2"}


def test_a_recording_with_a_zip_behind_it_stays_a_recording() -> None:
    assert kind_in(io.BytesIO(NOISE + zip_of({"a": b"1"})), "a.wav") is Kind.LOOSE


class Sparse(io.RawIOBase):
    """A file of zeros with a few pieces in it."""

    def __init__(self, size: int, pieces: dict[int, bytes]) -> None:
        self._size, self._pieces, self._place = size, pieces, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._size - self._place)
        found = bytearray(size)
        for start, piece in self._pieces.items():
            for at in range(max(start, self._place), min(start + len(piece), self._place + size)):
                found[at - self._place] = piece[at - start]
        self._place += size
        return bytes(found)


def test_offsets_that_began_anew_at_4_gib_are_read() -> None:
    """As macOS's Finder writes: no zip64 fields, numbers modulo 2^32."""
    whole = raw_zip([Raw(b"a.wav", b"RIFF1"), Raw(b"b.wav", b"RIFF2")])
    second = whole.rfind(b"PK\x03\x04")
    start = whole.find(b"PK\x01\x02")
    shift = 2**32  # between the two: a gap instead of 4 GiB of recordings
    directory = bytearray(whole[start:])
    entry = directory.rfind(b"PK\x01\x02")
    struct.pack_into("<L", directory, entry + 42, second - 10)  # modulo 2^32, below the first one's end
    gap = shift - 10
    pieces = {0: whole[:second], second + gap: whole[second:start], start + gap: bytes(directory)}
    record = directory.find(b"PK\x05\x06")
    struct.pack_into("<L", directory, record + 16, start - 10)
    pieces[start + gap] = bytes(directory)
    source = Sparse(start + gap + len(directory), pieces)
    limits = archive_limits(Settings())
    found = [(m.path, b"".join(m.chunks())) for m in members(source, "in", Kind.ZIP, limits)]  # type: ignore[arg-type]
    assert found == [("a.wav", b"RIFF1"), ("b.wav", b"RIFF2")]


def test_a_link_in_a_zip_names_its_target() -> None:
    found = read(raw_zip([Raw(b"link.wav", b"real.wav", attributes=LINK)]))
    assert str(found["link.wav"]) == (
        "link.wav lies in its archive as a symbolic link to real.wav, not as a plain file."
    )


def test_parts_of_a_split_archive_are_named() -> None:
    whole = zip_of({"a.wav": NOISE}, zipfile.ZIP_STORED)
    last = bytearray(whole[len(whole) // 2 :])
    struct.pack_into("<2H", last, last.rfind(b"PK\x05\x06") + 4, 1, 1)
    first = b"PK\x07\x08" + whole[: len(whole) // 2]
    for name, part in {"t.z01": first, "t.zip": bytes(last),
                       "t.z02": NOISE[4:], "t.zip.001": whole[:9000],
                       "t.zip.002": NOISE[4:]}.items():  # fmt: skip
        with pytest.raises(
            SplitArchive, match="is part of a split archive: join the parts and send the whole"
        ):
            read(part, name)


def test_a_split_zip_whose_parts_were_joined_by_cat_is_read() -> None:
    members = {f"{number}.wav": NOISE[: 3000 + number] for number in range(9)}
    archive = bytearray(SPLIT_MARKER + zip_of(members, zipfile.ZIP_STORED))
    end = archive.rfind(b"PK\x05\x06")
    start = struct.unpack_from("<L", archive, end + 16)[0] + 4
    part_bytes, rest = divmod(start, 4)  # four parts before the last one, which holds the directory
    archive[start:start] = bytes(-rest % 4)
    start, end, part_bytes = start + -rest % 4, end + -rest % 4, part_bytes + (rest > 0)
    place = start
    while archive.startswith(b"PK\x01\x02", place):
        offset = struct.unpack_from("<L", archive, place + 42)[0] + 4
        disk, within = divmod(offset, part_bytes)
        struct.pack_into("<H", archive, place + 34, disk)
        struct.pack_into("<L", archive, place + 42, within)
        place += 46 + sum(struct.unpack_from("<3H", archive, place + 28))
    struct.pack_into("<2H", archive, end + 4, 4, 4)
    struct.pack_into("<L", archive, end + 16, 0)
    assert read(bytes(archive), "joined.zip") == members


def test_lzma_alone_is_read() -> None:
    packed = lzma.compress(tar_of({"a.wav": NOISE}), lzma.FORMAT_ALONE)
    assert read(packed, "in.tar.lzma") == {"a.wav": NOISE}


def test_a_zip64_field_that_points_behind_every_file_damages_one_member_alone() -> None:
    directory = bytearray(zip_of({"a.wav": NOISE, "b.wav": NOISE}, zipfile.ZIP_STORED))
    at = directory.rfind(b"PK\x01\x02")
    field = struct.pack("<2HQ", 1, 8, 2**64 - 1)
    struct.pack_into("<H", directory, at + 30, len(field))
    struct.pack_into("<L", directory, at + 42, 0xFFFFFFFF)
    directory[at + 46 + 5 : at + 46 + 5] = field
    end = directory.rfind(b"PK\x05\x06")
    struct.pack_into("<L", directory, end + 12, struct.unpack_from("<L", directory, end + 12)[0] + len(field))
    forward = bytearray(zip_of({"a.wav": NOISE}, zipfile.ZIP_STORED))  # and without a directory
    struct.pack_into("<2L", forward, 18, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", forward, 28, 20)
    forward[30 + 5 : 30 + 5] = struct.pack("<2H2Q", 1, 16, 2**63, 2**63)
    found = read(bytes(directory))
    assert found["a.wav"] == NOISE
    assert isinstance(found["b.wav"], DamagedMember)
    with pytest.raises(DamagedArchive):
        read(bytes(forward[: forward.rfind(b"PK\x01\x02")]))
