"""What `submit` sends: files and folders, from any byte on."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from voxmood.errors import FileMissing, FolderChanged, NotSendable
from voxmood.packing import FolderToSend, digest, to_send, upload_names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several sizes, a long name, a link, an empty folder."""
    root = tmp_path / "tapes"
    for name, size in (
        ("b/two.wav", 1000),
        ("a/one.wav", 512),
        ("a/empty.wav", 0),
        ("z" * 150 + ".wav", 70_000),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    (root / "link.wav").symlink_to(root / "a/one.wav")
    (root / "nothing").mkdir()
    return root


def test_a_folder_is_sent_as_a_tar_of_its_files(folder: Path) -> None:
    content = to_send(folder)
    packed = b"".join(content.read(0))
    assert len(packed) == content.size
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    assert list(members) == ["link.wav", "z" * 150 + ".wav", "a/empty.wav", "a/one.wav", "b/two.wav"]
    assert all(body == (folder / name).read_bytes() for name, body in members.items())
    assert content.name == "tapes.tar"


def test_a_folder_can_be_read_from_any_byte_on(folder: Path) -> None:
    content = to_send(folder)
    packed = b"".join(content.read(0))
    for start in (
        0,
        1,
        511,
        512,
        513,
        1024,
        70_000,
        72_200,
        len(packed) - 1025,
        len(packed) - 1,
        len(packed),
    ):
        assert b"".join(content.read(start)) == packed[start:], start


def test_a_file_can_be_read_from_any_byte_on(folder: Path) -> None:
    content = to_send(folder / "b/two.wav")
    whole = (folder / "b/two.wav").read_bytes()
    assert content.size == len(whole)
    assert b"".join(content.read(700)) == whole[700:]


def test_what_is_sent_has_another_identity_once_it_changes(folder: Path) -> None:
    before = digest([to_send(folder).identity()])
    assert digest([to_send(folder).identity()]) == before
    (folder / "a/one.wav").write_bytes(b"other")
    assert digest([to_send(folder).identity()]) != before


def test_a_file_that_shrinks_meanwhile_is_named(folder: Path) -> None:
    content = FolderToSend(folder)
    assert content.size
    (folder / "b/two.wav").write_bytes(b"short")
    with pytest.raises(FolderChanged, match=r"two\.wav changed while its folder was being sent"):
        list(content.read(0))
    (folder / "b/two.wav").unlink()
    with pytest.raises(FolderChanged):
        list(content.read(0))


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"gone\.zip does not exist"):
        to_send(tmp_path / "gone.zip")


def test_names_are_told_apart_by_their_folders(folder: Path) -> None:
    for name in ("a/in.zip", "b/in.zip"):
        (folder / name).write_bytes(b"x")
    one, two, other = (to_send(folder / name) for name in ("a/in.zip", "b/in.zip", "b/two.wav"))
    assert upload_names([one, other]) == ["in.zip", "two.wav"]
    assert upload_names([one, two]) == ["a/in.zip", "b/in.zip"]


def members_of(folder: Path) -> dict[str, tarfile.TarInfo]:
    packed = b"".join(to_send(folder).read(0))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {info.name: info for info in archive}


def test_links_are_followed_and_what_leads_nowhere_is_sent_as_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "three.wav").write_bytes(b"3")
    (folder / "store").symlink_to(tmp_path / "elsewhere")
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "b" / "gone.wav").symlink_to("../../annex/gone")
    os.mkfifo(folder / "b" / "pipe")
    found = members_of(folder)
    assert found["link.wav"].isreg()
    assert found["link.wav"].size == 512
    assert found["store/three.wav"].size == 1
    assert (found["a/loop"].type, found["a/loop"].linkname) == (tarfile.SYMTYPE, str(folder))
    assert (found["b/gone.wav"].type, found["b/gone.wav"].linkname) == (tarfile.SYMTYPE, "../../annex/gone")
    assert found["b/pipe"].isfifo()


def test_names_that_are_no_text_are_sent_escaped(tmp_path: Path) -> None:
    for raw in (b"a\xff.wav", b"new\nline.wav"):
        (tmp_path / os.fsdecode(raw)).write_bytes(b"1")
    names = upload_names([to_send(file) for file in sorted(tmp_path.iterdir())])
    assert names == ["a\\xff.wav", "new\\x0aline.wav"]
    assert len(members_of(tmp_path)) == 2


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone.wav").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotSendable, match="it is a link to nowhere, which does not exist"):
        to_send(tmp_path / "gone.wav")
    with pytest.raises(NotSendable, match="it is neither a file nor a folder"):
        to_send(tmp_path / "pipe")


def test_what_cannot_be_sent_of_a_folder_is_named_before_anything_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # a socket's path has a hundred bytes at most
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("talk")
        with pytest.raises(NotSendable, match="talk cannot be sent: it is a socket, not a file"):
            _ = to_send(folder).size


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(NotSendable, match="closed cannot be sent: Permission denied"):
        _ = to_send(folder).size
    closed.chmod(0o700)
    (closed / "a.wav").write_bytes(b"1")
    (closed / "a.wav").chmod(0)
    with pytest.raises(NotSendable, match=r"a\.wav cannot be sent: Permission denied"):
        list(to_send(folder).read(0))


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    content = to_send(tmp_path / "a.wav")
    (tmp_path / "a.wav").unlink()
    with pytest.raises(FileMissing, match="does not exist"):
        list(content.read(0))
