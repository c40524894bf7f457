"""Archives as streams of members: what is read, and what fails alone."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from shared.archives import Kind, is_litter, kind_in, kind_of, members, printable
from shared.core.errors.recordings import ClipError, DamagedMember, Encrypted
from shared.core.errors.uploads import OverlappingMembers, UnknownArchive
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
from tests.unit.archive_members import LIMITS, SOUND, read


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
