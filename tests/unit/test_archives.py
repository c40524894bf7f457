"""Archives as streams of members: what is read, what is skipped, what is refused."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from shared.archives import Kind, is_litter, kind_of, members, printable
from shared.errors import (
    ClipError,
    DamagedArchive,
    DamagedMember,
    Encrypted,
    OverlappingMembers,
    TooManyMembers,
    UnknownArchive,
)
from tests.archive_builders import encrypted_zip, overlapping_zip, tar_of, zip_of

SOUND = {"a/one.wav": b"RIFF" + bytes(5000), "a/two.flac": b"fLaC" + bytes(70_000), "notes.txt": b"words"}


def read(archive: bytes, name: str = "in.zip", max_members: int = 100) -> list[tuple[int, str, object]]:
    """All members: number, path, and their bytes or their error."""
    found: list[tuple[int, str, object]] = []
    kind = kind_of(archive[:512], name)
    for member in members(io.BytesIO(archive), name, kind, max_members):
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
        (tar_of(SOUND), Kind.TAR),
        (tar_of(SOUND, "w:gz"), Kind.TAR_GZ),
    ],
)
def test_members_come_in_their_order_with_their_bytes(archive: bytes, kind: Kind) -> None:
    assert kind_of(archive[:512], "x") is kind
    expected = [(number, path, body) for number, (path, body) in enumerate(SOUND.items())]
    assert read(archive) == expected


def test_a_loose_recording_is_an_upload_of_one_member() -> None:
    assert read(b"RIFF....WAVE", "angry.wav") == [(0, "angry.wav", b"RIFF....WAVE")]


@pytest.mark.parametrize(
    ("head", "words"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x00", "rar"), (b"BZh9", "bzip2")]
)
def test_other_archives_are_refused_with_the_accepted_kinds(head: bytes, words: str) -> None:
    with pytest.raises(UnknownArchive, match=rf"old.bin is an? {words} .*zip, tar or tar.gz"):
        kind_of(head + bytes(500), "old.bin")


def test_a_gzip_file_without_a_tar_is_refused() -> None:
    import gzip

    with pytest.raises(UnknownArchive, match="gzip file without a tar"):
        read(gzip.compress(b"RIFF" + bytes(4000)), "a.wav.gz")


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
        for member in members(io.BytesIO(cut), "in.zip", Kind.ZIP, 100):
            try:
                found.append((member.path, b"".join(member.chunks())))
            except DamagedMember as error:
                found.append((member.path, error.code))
    assert found == [("1.wav", b"RIFF" + bytes(range(256)) * 50), ("2.wav", "damaged_member")]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_of_a_truncated_tar_what_can_be_read_is_kept(mode: str) -> None:
    import random

    noise = random.Random(0).randbytes(60_000)
    whole = tar_of({"1.wav": b"RIFF" + noise, "2.wav": b"RIFF" + noise[::-1]}, mode)
    found = []
    with pytest.raises(DamagedArchive, match="is damaged"):
        for member in members(
            io.BytesIO(whole[: len(whole) * 3 // 4]), "in.tar", kind_of(whole[:512], ""), 100
        ):
            try:
                found.append((member.path, len(b"".join(member.chunks()))))
            except DamagedMember as error:
                found.append((member.path, error.code))
    assert found == [("1.wav", 60_004), ("2.wav", "damaged_member")]


def test_an_archive_inside_an_archive_fails_alone() -> None:
    inner = {
        "x/in.zip": zip_of(SOUND),
        "x/in.tar": tar_of(SOUND),
        "x/in.7z": b"7z\xbc\xaf\x27\x1c..",
        "a.wav": b"1",
    }
    for archive in (zip_of(inner), tar_of(inner)):
        found = {path: outcome for _, path, outcome in read(archive)}
        assert found.pop("a.wav") == b"1"
        assert {error.code for error in found.values() if isinstance(error, ClipError)} == {"nested_archive"}
        assert len(found) == 3


def test_members_that_overlap_are_refused() -> None:
    with pytest.raises(OverlappingMembers, match="in.zip has members that overlap"):
        read(overlapping_zip(b"RIFF" + bytes(1000)))


def test_too_many_members_are_refused() -> None:
    many = {f"{number}.wav": b"" for number in range(11)}
    for archive in (zip_of(many), tar_of(many)):
        with pytest.raises(TooManyMembers, match="over 10 members"):
            read(archive, max_members=10)


def test_links_and_devices_in_a_tar_fail_alone() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    outcomes = [str(outcome) for _, _, outcome in read(file.getvalue())]
    assert outcomes == [
        "link is a symbolic link inside its archive, not a file.",
        "hard is a hard link inside its archive, not a file.",
        "pipe is a device or pipe inside its archive, not a file.",
    ]


def test_names_in_other_alphabets_and_outside_paths_are_data() -> None:
    odd = {"../../etc/passwd.wav": b"1", "/absolute.wav": b"2", "Ärger/злость.wav": b"3"}
    for archive in (zip_of(odd), tar_of(odd)):
        assert {path for _, path, _ in read(archive)} == set(odd)


def test_empty_archives_have_no_members() -> None:
    assert read(zip_of({})) == []
    assert read(tar_of({})) == []
