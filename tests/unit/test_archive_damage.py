"""Damaged archives and those beyond a limit: what can be read is kept, and the sentence says why it ends."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from contextlib import suppress

import pytest

from shared.archives import Kind, kind_of, members
from shared.core.errors.infrastructure import StoreUnavailable
from shared.core.errors.recordings import DamagedMember
from shared.core.errors.uploads import DamagedArchive, UnlikelyRatio, UploadError, WindowTooLarge
from shared.core.settings import Settings
from shared.limits import archive_limits
from tests.archive_builders import PACKERS, packed_tar, tar_of, zip_of
from tests.unit.archive_members import LIMITS, SOUND, read


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_of_a_truncated_zip_what_can_be_read_is_kept(compression: int) -> None:
    whole = zip_of(
        {"1.wav": b"RIFF" + bytes(range(256)) * 50, "2.wav": b"RIFF" + bytes(range(256)) * 90}, compression
    )
    cut = whole[: whole.rfind(b"2.wav", 0, whole.find(b"PK\x01\x02")) + 60]
    found = []
    with pytest.raises(DamagedArchive, match="in.zip is damaged"):
        for member in members(io.BytesIO(cut), "in.zip", Kind.ZIP, LIMITS):
            try:
                found.append((member.path, b"".join(member.chunks())))
            except DamagedMember as error:
                found.append((member.path, error.code))
    assert found == [("1.wav", b"RIFF" + bytes(range(256)) * 50), ("2.wav", "damaged_member")]


@pytest.mark.parametrize("ending", [None, *PACKERS])
def test_of_a_truncated_tar_what_can_be_read_is_kept(ending: str | None) -> None:
    noise = random.Random(0).randbytes(400_000)  # bzip2 and zstd give whole blocks of 100 kB
    whole = tar_of({"1.wav": b"RIFF" + noise, "2.wav": b"RIFF" + noise[::-1]})
    whole = PACKERS[ending](whole) if ending else whole
    found = []
    with pytest.raises(DamagedArchive, match="is damaged"):
        for member in members(
            io.BytesIO(whole[: len(whole) * 3 // 4]), "in.tar", kind_of(whole[:512], ""), LIMITS
        ):
            try:
                found.append((member.path, len(b"".join(member.chunks()))))
            except DamagedMember as error:
                found.append((member.path, error.code))
    assert found == [("1.wav", 400_004), ("2.wav", "damaged_member")]


def test_a_damaged_header_among_sound_ones_is_said_and_what_came_before_is_kept() -> None:
    archive = bytearray(tar_of(SOUND))
    archive[archive.find(b"a/two.flac") + 150] ^= 0xFF
    found = []
    with pytest.raises(DamagedArchive, match="in.tar is damaged: a header is damaged"):
        for member in members(io.BytesIO(bytes(archive)), "in.tar", Kind.TAR, LIMITS):
            found.append(b"".join(member.chunks()))
    assert found == [SOUND["a/one.wav"]]


@pytest.mark.parametrize("ending", ["gz", "xz"])
def test_a_wrong_checksum_of_what_is_compressed_is_said(ending: str) -> None:
    archive = bytearray(packed_tar(SOUND, ending))
    archive[-8 if ending == "gz" else -40] ^= 0xFF
    with pytest.raises(DamagedArchive, match="in.zip is damaged"):
        read(bytes(archive))


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst"])
def test_damage_in_what_is_compressed_is_no_other_kind_of_file(ending: str) -> None:
    archive = packed_tar({"a.wav": b"RIFF" + random.Random(1).randbytes(4000)}, ending)
    with pytest.raises(DamagedArchive, match="in.zip is damaged"):
        read(archive[:40])


# setting, archive, sentence
LIMITED: dict[str, tuple[dict[str, float], bytes, str]] = {
    "members of a zip": (
        {"max_members": 10},
        zip_of({f"{n}.wav": b"" for n in range(11)}),
        "in.zip has over 10 members (VOXMOOD_MAX_MEMBERS); send it as several archives. "
        "0 recordings before that were kept.",
    ),
    "members of a tar": (
        {"max_members": 10},
        tar_of({f"{n}.wav": b"" for n in range(11)}),
        "in.zip has over 10 members (VOXMOOD_MAX_MEMBERS); send it as several archives. "
        "0 recordings before that were kept.",
    ),
    "members of a tar.gz": (
        {"max_members": 10},
        packed_tar({f"{n}.wav": b"" for n in range(11)}, "gz"),
        "in.zip has over 10 members (VOXMOOD_MAX_MEMBERS); send it as several archives. "
        "0 recordings before that were kept.",
    ),
    "a zip's directory": (
        {"max_directory_bytes": 50},
        zip_of(SOUND),
        "in.zip has a directory of over 50 bytes (VOXMOOD_MAX_DIRECTORY_BYTES); send it as several archives.",
    ),
    "all members together": (
        {"max_unpacked_bytes": 70_000},
        zip_of(SOUND),
        "in.zip unpacks to over 70000 bytes (VOXMOOD_MAX_UNPACKED_BYTES); send it as several archives. "
        "0 recordings before that were kept.",
    ),
    "time": (
        {"max_unpack_s": 1e-6},
        tar_of(SOUND),
        "in.zip took over 1e-06 s to unpack (VOXMOOD_MAX_UNPACK_S); send it as several archives. "
        "0 recordings before that were kept.",
    ),
}


@pytest.mark.parametrize("name", LIMITED)
def test_each_limit_is_a_setting_and_says_so_when_it_strikes(name: str) -> None:
    setting, archive, sentence = LIMITED[name]
    with pytest.raises(UploadError) as raised:
        for member in members(
            io.BytesIO(archive), "in.zip", kind_of(archive[:512], ""), archive_limits(Settings(**setting))
        ):
            b"".join(member.chunks())
    assert str(raised.value) == sentence


def test_ratio_and_window_say_which_setting_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.archives.limits.RATIO_FREE_BYTES", 10_000)
    bomb = packed_tar({"a.wav": bytes(10**6)}, "zst")
    with pytest.raises(UnlikelyRatio, match=r"over 20 times its size \(VOXMOOD_MAX_UNPACK_RATIO\)"):
        read(bomb, max_unpack_ratio=20)
    assert len(read(bomb, max_unpack_ratio=10_000)) == 1
    wide = packed_tar({"a.wav": random.Random(2).randbytes(3 * 2**20)}, "zst")
    with pytest.raises(WindowTooLarge, match="over 1048576 bytes of memory.*VOXMOOD_MAX_WINDOW_BYTES"):
        read(wide, max_window_bytes=2**20)


@pytest.mark.parametrize(
    "pack", [zip_of, lambda files: packed_tar(files, "zst"), lambda files: zip_of(files)[:-30]]
)
def test_much_output_from_few_bytes_is_heard_of(pack: Callable[[dict[str, bytes]], bytes]) -> None:
    """So that the lease is renewed: 40 MB come from one read of the source."""
    archive, heard = pack({"a.wav": b"RIFF" + bytes(40 * 10**6)}), []
    with suppress(DamagedArchive):
        kind = kind_of(archive[:512], "")
        for member in members(io.BytesIO(archive), "in", kind, LIMITS, lambda: heard.append(1)):
            for _ in member.chunks():
                pass
    assert len(heard) == 4


def test_what_the_source_raises_is_no_damage() -> None:
    class Gone(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise StoreUnavailable(endpoint="there")

    for kind in (kind for kind in Kind if kind is not Kind.LOOSE):
        with pytest.raises(StoreUnavailable):
            list(members(Gone(zip_of(SOUND)), "in", kind, LIMITS))
