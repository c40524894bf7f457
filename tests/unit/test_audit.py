"""The check of the lock for known vulnerabilities: fixable ones fail it, an unreachable database does not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from shared.core.settings import REPOSITORY

LOCK = "old==1.0 --hash=sha256:" + "0" * 64 + "\nsound==2.0 --hash=sha256:" + "1" * 64 + "\n"


class Osv(BaseHTTPRequestHandler):
    """Answers as OSV does; `events` is what it knows of the package `old`."""

    events: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = asked["package"]
        known = {"id": "PYSEC-1", "summary": "bad", "affected": [
            {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": self.events}]}]}  # fmt: skip
        body = json.dumps({"vulns": [known]} if package["name"] == "old" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def osv() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audit(folder: Path, address: str) -> tuple[int, str]:
    lock = folder / "lock"
    lock.write_text(LOCK)
    command = [sys.executable, REPOSITORY / "infra" / "audit.py", str(lock), address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("events", "status", "said"),
    [
        ([{"introduced": "0"}, {"fixed": "1.1"}], 1, "old 1.0: PYSEC-1, fixed in 1.1"),
        ([{"introduced": "0"}], 0, "old 1.0: PYSEC-1, fixed in no version yet"),
    ],
)
def test_a_vulnerability_fails_the_check_where_an_upgrade_mends_it(
    tmp_path: Path,
    osv: str,
    monkeypatch: pytest.MonkeyPatch,
    events: list[dict[str, str]],
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr(Osv, "events", events)
    assert audit(tmp_path, osv) == (status, f"{said}\n")


def test_an_unreachable_database_is_told_and_fails_nothing(tmp_path: Path) -> None:
    status, said = audit(tmp_path, "http://127.0.0.1:9/v1/query")
    assert status == 0
    assert said.startswith("not checked, the database of vulnerabilities was not reached: ")
