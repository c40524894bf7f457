"""Archives as streams of members: what is read, what is skipped, what is refused."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress

import pytest

from shared.archives import Kind, is_litter, kind_in, kind_of, members, printable
from shared.core.errors.infrastructure import StoreUnavailable
from shared.core.errors.recordings import ClipError, DamagedMember, Encrypted
from shared.core.errors.uploads import (
    DamagedArchive,
    OverlappingMembers,
    UnknownArchive,
    UnlikelyRatio,
    UploadError,
    WindowTooLarge,
)
from shared.core.settings import Settings
from shared.limits import archive_limits
from tests.archive_builders import (
    PACKERS,
    encrypted_zip,
    overlapping_zip,
    packed_tar,
    tar_of,
    without_end,
    zip64_of,
    zip_of,
)

LIMITS = archive_limits(Settings())
SOUND = {"a/one.wav": b"RIFF" + bytes(5000), "a/two.flac": b"fLaC" + bytes(70_000), "notes.txt": b"words"}


def read(archive: bytes, name: str = "in.zip", **limits: int) -> list[tuple[int, str, object]]:
    """All members: number, path, and their bytes or their error."""
    found: list[tuple[int, str, object]] = []
    kind = kind_of(archive[:512], name)
    for member in members(io.BytesIO(archive), name, kind, archive_limits(Settings(**limits))):
        try:
            outcome: object = member.error or b"".join(member.chunks())
        except ClipError as error:
            outcome = error
        found.append((member.number, member.path, outcome))
    return found


@pytest.mark.parametrize(
    ("archive", "kind"),
    [
        (zip_of(SOUND), Kind.ZIP),
        (zip_of(SOUND, zipfile.ZIP_STORED), Kind.ZIP),
        (zip_of(SOUND, zipfile.ZIP_BZIP2), Kind.ZIP),
        (zip_of(SOUND, zipfile.ZIP_LZMA), Kind.ZIP),
        (zip64_of(SOUND), Kind.ZIP),
        (tar_of(SOUND), Kind.TAR),
        (without_end(tar_of(SOUND)), Kind.TAR),
        (tar_of(SOUND, "w:gz"), Kind.TAR_GZ),
        (packed_tar(SOUND, "bz2"), Kind.TAR_BZ2),
        (packed_tar(SOUND, "xz"), Kind.TAR_XZ),
        (packed_tar(SOUND, "zst"), Kind.TAR_ZST),
    ],
)
def test_members_come_in_their_order_with_their_bytes(archive: bytes, kind: Kind) -> None:
    assert kind_of(archive[:512], "x") is kind
    expected = [(number, path, body) for number, (path, body) in enumerate(SOUND.items())]
    assert read(archive) == expected


def test_a_loose_recording_is_an_upload_of_one_member() -> None:
    assert read(b"RIFF....WAVE", "angry.wav") == [(0, "angry.wav", b"RIFF....WAVE")]
    for body in (b"RIFF....WAVE" + bytes(9000), b"no audio" * 900):  # whatever its kind was told by
        source = io.BytesIO(body)
        (member,) = members(source, "a.wav", kind_in(source, "a.wav"), LIMITS)
        assert b"".join(member.chunks()) == body


@pytest.mark.parametrize(
    ("head", "words"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x00", "rar"), (b"LZIP", "lzip")]
)
def test_other_archives_are_refused_with_the_accepted_kinds(head: bytes, words: str) -> None:
    with pytest.raises(UnknownArchive, match=rf"old.bin is an? {words} .*tar.bz2, tar.xz or tar.zst"):
        kind_of(head + bytes(500), "old.bin")


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("content", [b"RIFF" + bytes(range(256)) * 20, b"short", b""])
def test_a_compressed_file_without_a_tar_is_refused(ending: str, content: bytes) -> None:
    with pytest.raises(UnknownArchive, match=r"in\.zip is an? \w+ file without a tar archive in it"):
        read(PACKERS[ending](content))


@pytest.mark.parametrize("ending", PACKERS)
def test_frames_that_follow_one_another_are_one_archive(ending: str) -> None:
    tar, pack = tar_of(SOUND), PACKERS[ending]
    padding = bytes(4) if ending == "xz" else b""
    packed = pack(tar[:5000]) + padding + pack(b"") + pack(tar[5000:])
    expected = [(number, path, body) for number, (path, body) in enumerate(SOUND.items())]
    assert read(packed) == expected


def test_litter_and_folders_are_skipped_and_numbers_stay() -> None:
    archive = zip_of(
        {"a/": b"", "__MACOSX/a/._one.wav": b"x", "a/one.wav": b"1", "a/.DS_Store": b"x", "Thumbs.db": b"x",
         "b/two.wav": b"2", "b/._two.wav": b"x", "desktop.ini": b"x"}
    )  # fmt: skip
    assert read(archive) == [(2, "a/one.wav", b"1"), (5, "b/two.wav", b"2")]


@pytest.mark.parametrize(
    ("path", "litter"),
    [("a/.hidden.wav", False), ("MACOSX/a.wav", False), ("a\\Thumbs.db", True), ("a/Desktop.INI", True)],
)
def test_what_litter_is(path: str, litter: bool) -> None:
    assert is_litter(path) is litter


def test_names_that_are_no_text_are_escaped() -> None:
    assert printable("a\udcff\0b.wav") == "a\\xff\\x00b.wav"
    assert printable("Grüße/песня.wav") == "Grüße/песня.wav"


def test_an_encrypted_member_fails_alone() -> None:
    found = read(encrypted_zip(SOUND, "a/one.wav"))
    assert isinstance(found[0][2], Encrypted)
    assert [outcome for _, _, outcome in found[1:]] == [SOUND["a/two.flac"], b"words"]


def test_a_member_with_a_wrong_checksum_fails_alone() -> None:
    archive = bytearray(zip_of(SOUND, zipfile.ZIP_STORED))
    archive[archive.find(b"RIFF") + 100] ^= 0xFF
    found = read(bytes(archive))
    assert isinstance(found[0][2], DamagedMember)
    assert "a/one.wav is damaged" in str(found[0][2])
    assert found[1][2] == SOUND["a/two.flac"]


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


def test_an_archive_inside_an_archive_fails_alone() -> None:
    inner = {
        "x/in.zip": zip_of(SOUND),
        "x/in.tar": tar_of(SOUND),
        **{f"x/in.{ending}": pack(b"whatever") for ending, pack in PACKERS.items()},
        "x/in.7z": b"7z\xbc\xaf\x27\x1c..",
        "x/in.rar": b"Rar!\x1a\x07\x00",
        "a.wav": b"1",
    }
    for archive in (zip_of(inner), tar_of(inner)):
        found = {path: outcome for _, path, outcome in read(archive)}
        assert found.pop("a.wav") == b"1"
        assert {error.code for error in found.values() if isinstance(error, ClipError)} == {"nested_archive"}
        assert len(found) == 8


def test_members_that_overlap_are_refused() -> None:
    with pytest.raises(OverlappingMembers, match="in.zip has members that overlap"):
        read(overlapping_zip(b"RIFF" + bytes(1000)))


KINDS_OF_ENTRIES = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "device": tarfile.BLKTYPE,
    "sparse file": tarfile.GNUTYPE_SPARSE,
    "entry of type V": b"V",
}


def test_links_and_devices_in_a_tar_fail_alone() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, kind in KINDS_OF_ENTRIES.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("a.wav"))
    *odd, last = read(file.getvalue())
    assert last == (6, "a.wav", b"")
    assert [str(outcome) for _, _, outcome in odd] == [
        f"{name} lies in its archive as a {name}{' to /etc/passwd' * name.endswith('link')}, not as a plain "
        "file."
        for name in KINDS_OF_ENTRIES
    ]


def test_names_in_other_alphabets_and_outside_paths_are_data() -> None:
    odd = {"../../etc/passwd.wav": b"1", "/absolute.wav": b"2", "Ärger/злость.wav": b"3"}
    for archive in (zip_of(odd), tar_of(odd)):
        assert {path for _, path, _ in read(archive)} == set(odd)
    assert read(zip_of({"a?b.wav": b"1"}).replace(b"a?b", b"a\0b")) == [(0, "a\\x00b.wav", b"1")]


def test_empty_archives_have_no_members() -> None:
    assert read(zip_of({})) == []
    assert read(tar_of({})) == []


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read_in_every_format_of_tar(format: int) -> None:
    folder = "/".join(["folder"] * 25 if format == tarfile.USTAR_FORMAT else ["Ordner – папка"] * 3000)
    members = {f"{folder}/one.wav": b"1", f"{folder}/two.wav": b"2" * 600}
    found = read(tar_of(members, format=format))
    assert found == [(n, path, body) for n, (path, body) in enumerate(members.items())]


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
