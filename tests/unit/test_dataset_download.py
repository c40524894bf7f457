"""`voxmood dataset download`, against a server on the loopback that has ranges, breaks off, and lies."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli import dataset
from shared.core.errors.infrastructure import CannotWrite
from shared.core.errors.models import DatasetUnreachable, WrongChecksum

SPEECH, SONG = dataset.RAVDESS_ARCHIVES


class Archive(ThreadingHTTPServer):
    """A record as Zenodo gives it, and its files by ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.md5: dict[str, str] = {}
        self.breaks: list[int] = []  # so many bytes of an answer come; then the connection ends
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []

    def add(self, name: str, content: bytes) -> None:
        self.files[name] = content
        self.md5[name] = hashlib.md5(content).hexdigest()

    def record(self) -> bytes:
        files = [
            {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{self.md5[name]}",
                "links": {"self": f"{self.url}/files/{name}/content"},
            }
            for name, content in self.files.items()
        ]
        return json.dumps({"id": 1188976, "files": files}).encode()


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Archive
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/record":
            self._send(200, self.server.record())
            return
        wanted = self.headers["Range"]
        name = self.path.split("/")[2]
        self.server.asked.append((name, wanted))
        content = self.server.files[name]
        if wanted and self.server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            self._send(206, content[start:], f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self._send(200, content)

    def _send(self, status: int, body: bytes, content_range: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        cut = self.path != "/record" and self.server.breaks
        self.wfile.write(body[: self.server.breaks.pop(0)] if cut else body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Not into the tests' output."""


def zip_of_recordings(channel: str, count: int, **more: bytes) -> bytes:
    """As many recordings as the real archive has, each of a few bytes, in its folders."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(count):
            actor, take = number % 24 + 1, number // 24
            name = f"Actor_{actor:02d}/03-{channel}-01-01-{take // 50:02d}-{take % 50:02d}-{actor:02d}.wav"
            archive.writestr(name, f"{channel} {number}" + "·" * 60)
        for name, content in more.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture(scope="module")
def archives() -> dict[str, bytes]:
    evil = {"../escaped.wav": b"evil", "Actor_01/../../escaped.wav": b"evil", "Actor_01/.DS_Store": b"x"}
    return {SPEECH: zip_of_recordings("01", 1440, **evil), SONG: zip_of_recordings("02", 1012)}


@pytest.fixture
def server(archives: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.setattr(dataset, "PAUSE_S", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Archive() as running:
        for name, content in archives.items():
            running.add(name, content)
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def download(server: Archive, folder: Path) -> str:
    """What the command says; an error of ours is raised."""
    arguments = ["download", "ravdess", str(folder), "--record", f"{server.url}/record"]
    done = CliRunner().invoke(dataset.app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.stderr.split())


def test_speech_and_song_come_into_one_folder_an_actor(server: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "ravdess"
    said = download(server, folder)
    assert "2,452 recordings" in said
    assert "CC BY-NC-SA 4.0" in said
    assert sorted(path.name for path in folder.iterdir()) == [f"Actor_{n:02d}" for n in range(1, 25)]
    assert {path.suffix for path in folder.rglob("*.*")} == {".wav"}
    assert (folder / "Actor_01/03-01-01-01-00-00-01.wav").read_text().startswith("01 0·")


def test_nothing_leaves_the_folder_and_foreign_files_are_left_out(server: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "inside" / "ravdess"
    assert f"Left out of {SPEECH}: 3 files" in download(server, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in (tmp_path / "inside").iterdir()] == ["ravdess"]


def test_a_broken_connection_is_resumed_at_the_byte_where_it_broke(server: Archive, tmp_path: Path) -> None:
    half = len(server.files[SPEECH]) // 2 // dataset.BLOCK_BYTES * dataset.BLOCK_BYTES
    server.breaks = [half, 0, dataset.BLOCK_BYTES]
    said = download(server, tmp_path)
    assert f"going on at {half / 1e6:,.1f} of" in said
    assert "2,452 recordings" in said
    assert server.asked == [
        (SPEECH, None),
        (SPEECH, f"bytes={half}-"),
        (SPEECH, f"bytes={half}-"),
        (SPEECH, f"bytes={half + dataset.BLOCK_BYTES}-"),
        (SONG, None),
    ]


def test_what_a_killed_download_left_is_gone_on_with(server: Archive, tmp_path: Path) -> None:
    (tmp_path / f"{SONG}.partial").write_bytes(server.files[SONG][:1000])
    download(server, tmp_path)
    assert (SONG, "bytes=1000-") in server.asked


def test_a_server_without_ranges_is_read_from_the_start(server: Archive, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks = [dataset.BLOCK_BYTES]
    assert "2,452 recordings" in download(server, tmp_path)
    assert [name for name, _ in server.asked] == [SPEECH, SPEECH, SONG]


def test_what_is_there_is_not_downloaded_again(server: Archive, tmp_path: Path) -> None:
    download(server, tmp_path)
    server.asked.clear()
    next(tmp_path.glob("Actor_07/03-02-*")).unlink()
    download(server, tmp_path)
    assert server.asked == [(SONG, None)]


def test_a_wrong_md5_removes_the_file_and_names_it(server: Archive, tmp_path: Path) -> None:
    server.md5[SPEECH] = "0" * 32
    with pytest.raises(WrongChecksum, match=f"{SPEECH} arrived damaged"):
        download(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_gives_nothing_is_given_up_and_what_came_is_kept(
    server: Archive, tmp_path: Path
) -> None:
    server.breaks = [dataset.BLOCK_BYTES, *[0] * dataset.TRIES]
    with pytest.raises(DatasetUnreachable, match="What has arrived is kept"):
        download(server, tmp_path)
    assert (tmp_path / f"{SPEECH}.partial").stat().st_size == dataset.BLOCK_BYTES
    assert len(server.asked) == 1 + dataset.TRIES


def test_a_record_without_the_archives_is_named(server: Archive, tmp_path: Path) -> None:
    del server.files[SONG]
    with pytest.raises(DatasetUnreachable, match=f"could not be fetched from .*/record: .*no {SONG}"):
        download(server, tmp_path)


def test_a_folder_that_cannot_be_made_is_named(server: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotWrite, match=r"file/ravdess cannot be written: Not a directory"):
        download(server, tmp_path / "file" / "ravdess")
