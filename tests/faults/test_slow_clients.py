"""Hundreds of clients that take or bring hardly anything, beside others, at a real API process.

300 who ask for a recording of 57 MB and take nothing, 80 who ask for an export of 50,000 rows and take
nothing or stop on the way, 60 who send an upload at 500 bytes a second; each kind alone, and all together.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import psutil
import pytest

from benchmarks import rows
from shared.core.settings import MEBIBYTE, Settings
from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import clip, shard
from shared.stack.ports import LOOPBACK
from shared.store.objects import Storage
from tests.archive_builders import zip_of
from tests.children import free_ports, running_program, wait_until_ready
from tests.integration.builders import set_row
from tests.servers import Store
from tests.waiting import wait_for

READERS, EXPORTS, DRIPPERS = 300, 80, 60
ROWS, RECORDING_BYTES, DRIP_BYTES = 50_000, 57_000_000, 500
MEMORY_BYTES = 350 * MEBIBYTE
# One answer may take long where other programs have the processors. Whom slow clients hold up waits until
# they are ended: two minutes here.
HALF_S, ANSWER_S, UPLOAD_S, ENDED_S = 2.0, 15.0, 10.0, 120.0
LEFT_BYTES = 60 * MEBIBYTE  # that the process may hold more than before, once they are gone
ARCHIVE = zip_of({f"{n}.wav": bytes([n]) * MEBIBYTE for n in range(10)}, 0)


@dataclass(frozen=True)
class Server:
    """An API process of the test's own, and who asks it."""

    client: httpx.Client
    process: psutil.Process
    spool: Path

    def memory(self) -> int:
        return int(self.process.memory_info().rss)

    def job(self) -> int:
        return int(self.client.post("/v1/jobs", json={}).raise_for_status().json()["id"])

    def upload(self) -> float:
        """Seconds that an upload of 10 MB takes."""
        job = self.job()
        began = time.monotonic()
        self.client.put(f"/v1/jobs/{job}/uploads/a.zip", content=ARCHIVE).raise_for_status()
        return time.monotonic() - began


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, store: Store, valkey: str) -> Iterator[Server]:
    """With job 1 of 50,000 rows, whose first clip has 57 MB."""
    folder = tmp_path_factory.mktemp("api")
    database = Database(f"sqlite:///{folder / 'voxmood.db'}")
    upgrade.upgrade(database)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        patch.setattr(rows, "VERSION", Settings().champion)
        rows.fill(database, ROWS)
        Storage(Settings()).put("recording", bytes(RECORDING_BYTES))
    set_row(database, shard, 1, object_key="recording")
    set_row(database, clip, 1, offset=0, size=RECORDING_BYTES)
    database.close()
    (folder / "spool").mkdir()
    with free_ports("api") as ports:
        environment = {
            **store.environment,
            "VOXMOOD_BROKER_URL": valkey,
            "VOXMOOD_DATABASE_URL": f"sqlite:///{folder / 'voxmood.db'}",
            "VOXMOOD_API_PORT": str(ports["api"]),
            "VOXMOOD_SPOOL_DIR": str(folder / "spool"),
            "VOXMOOD_BODY_TIMEOUT_S": str(ENDED_S),
        }
        url = f"http://{LOOPBACK}:{ports['api']}"
        with (
            running_program([sys.executable, "-m", "api.app"], folder, environment) as process,
            httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
        ):
            wait_until_ready(lambda: client.get("/health/live").raise_for_status(), httpx.HTTPError, folder)
            made = Server(client, psutil.Process(process.pid), folder / "spool")
            # What a process has taken once it has done everything once.
            client.get("/v1/clips/1/audio").raise_for_status()
            client.get("/v1/jobs/1/export").raise_for_status()
            made.upload()
            yield made


def readers(server: Server, connections: ExitStack) -> Iterator[Callable[[], None]]:
    """Of a recording; they take nothing."""
    for _ in range(READERS):
        _send(server, connections, b"GET /v1/clips/1/audio HTTP/1.1\r\nHost: localhost\r\n\r\n")
    yield from ()


def exports(server: Server, connections: ExitStack) -> Iterator[Callable[[], None]]:
    """Of 50,000 rows, some 20 MB; they take nothing, or stop after 2 MB."""
    head = b"GET /v1/jobs/1/export?format=%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    made = [_send(server, connections, head % (b"csv", b"jsonl")[n % 2]) for n in range(EXPORTS)]
    for connection in made[::5]:
        left = 2_000_000
        connection.settimeout(30)
        while left > 0:
            left -= len(connection.recv(2**16))
    yield from ()


def drippers(server: Server, connections: ExitStack) -> Iterator[Callable[[], None]]:
    """They are past what shows a dripper, and go on with 500 bytes a second."""
    job = server.job()
    for number in range(DRIPPERS):
        path = f"/v1/jobs/{job}/uploads/{number}.zip"
        head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n"
        connection = _send(server, connections, head.encode() + ARCHIVE[:300_000])
        yield lambda connection=connection: _drip(connection)


def _send(server: Server, connections: ExitStack, request: bytes) -> socket.socket:
    made = connections.enter_context(
        socket.create_connection((server.client.base_url.host, server.client.base_url.port))
    )
    made.sendall(request)
    made.setblocking(False)
    return made


def _drip(connection: socket.socket) -> None:
    with suppress(BlockingIOError):
        connection.send(bytes(DRIP_BYTES))


@contextmanager
def every_second(actions: list[Callable[[], None]]) -> Iterator[None]:
    """Have all of them done once a second, meanwhile."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(1):
            for action in actions:
                action()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


Kind = Callable[[Server, ExitStack], Iterator[Callable[[], None]]]


@pytest.mark.parametrize(
    "kinds",
    [
        *(pytest.param((kind,), marks=pytest.mark.long) for kind in (readers, exports, drippers)),
        (readers, exports, drippers),
    ],
)
def test_others_are_served_beside_slow_clients_and_memory_is_given_back(
    server: Server, kinds: tuple[Kind, ...]
) -> None:
    before, most = server.memory(), 0
    answers: list[float] = []
    uploads: list[float] = []
    with ExitStack() as connections:
        actions = [action for kind in kinds for action in kind(server, connections)]
        with every_second(actions):
            uploading = threading.Thread(target=lambda: uploads.append(server.upload()))
            uploading.start()
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline or uploading.is_alive():
                for path in ("/v1/jobs", "/v1/jobs/1", "/v1/jobs/1/results?limit=10", "/v1/models"):
                    asked = time.monotonic()
                    assert server.client.get(path).status_code == 200
                    answers.append(time.monotonic() - asked)
                    most = max(most, server.memory())
                time.sleep(0.05)
        seconds = f"others {median(answers):.3f}, at most {max(answers):.2f} s, upload {uploads} s"
        print(f"{most / 2**20:.0f} MiB, before {before / 2**20:.0f}; {seconds}")
        assert most < MEMORY_BYTES
        assert median(answers) < HALF_S
        assert max(answers) < ANSWER_S
        assert len(uploads) == 1
        assert uploads[0] < UPLOAD_S
        assert list(server.spool.iterdir()) == []  # what lies there has no name: no kill leaves it
    try:
        wait_for(lambda: server.memory() < before + LEFT_BYTES, 10, "memory was not given back")
    finally:
        print(f"after: {server.memory() / 2**20:.0f} MiB")
