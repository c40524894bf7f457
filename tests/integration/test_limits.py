"""A real API process bears clients that are slow on purpose, and refuses bodies that are too large."""

from __future__ import annotations

import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from api.limits import BODY_BYTES, LABELS_BYTES, LEAST_BYTES
from shared.database import upgrade
from shared.database.sessions import Database
from shared.stack.ports import LOOPBACK
from tests.children import free_ports, running_program, wait_until_ready

TIMEOUT_S = 3
EACH = 60


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An API process that gives headers and bodies 3 s. Nothing here reaches the store or the queue."""
    folder = tmp_path_factory.mktemp("api")
    address = f"sqlite:///{folder / 'voxmood.db'}"
    upgrade.upgrade(Database(address))
    with free_ports("api") as ports:
        environment = {
            "VOXMOOD_DATABASE_URL": address,
            "VOXMOOD_API_PORT": str(ports["api"]),
            "VOXMOOD_HEADER_TIMEOUT_S": str(TIMEOUT_S),
            "VOXMOOD_BODY_TIMEOUT_S": str(TIMEOUT_S),
            "VOXMOOD_API_CONNECTIONS": str(5 * EACH),
        }
        url = f"http://{LOOPBACK}:{ports['api']}"
        with (
            running_program([sys.executable, "-m", "api.app"], folder, environment),
            httpx.Client(base_url=url, trust_env=False, timeout=20) as client,
        ):
            wait_until_ready(lambda: client.get("/health/live").raise_for_status(), httpx.HTTPError, folder)
            yield client


def test_a_normal_request_is_answered_promptly_among_dripping_connections_and_these_are_ended(
    api: httpx.Client,
) -> None:
    job = api.post("/v1/jobs", json={}).json()["id"]
    beginnings = {
        "header": b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        "JSON": b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 1000\r\n\r\n{"name": "',
        "upload": b"PUT /v1/jobs/%d/uploads/slow.zip HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: 100000\r\n\r\nPK" % job,
        "refused": b"PUT /v1/jobs/999/uploads/slow.zip HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: 100000\r\n\r\n" + b"P" * 5000,
    }
    with ExitStack() as connections:
        drippers = {
            connections.enter_context(_connection(api, beginning)): kind
            for kind, beginning in beginnings.items()
            for _ in range(EACH)
        }
        began, slowest = time.monotonic(), 0.0
        ends: set[tuple[str, bytes]] = set()
        while drippers:
            assert time.monotonic() - began < 4 * TIMEOUT_S, Counter(drippers.values())
            for connection, kind in list(drippers.items()):
                end = _drip(connection)
                if end is not None and (end, kind) != (b"404", "refused"):  # it may go on after its answer
                    ends.add((drippers.pop(connection), end))
            asked = time.monotonic()
            assert api.get("/v1/jobs").status_code == 200
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.2)
    assert slowest < 1.0
    assert ends == {("header", b""), ("JSON", b"408"), ("upload", b"408"), ("refused", b"")}


def test_a_body_that_comes_slowly_but_comes_is_waited_for(api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={}).json()["id"]
    head = b"PUT /v1/jobs/%d/uploads/slow.zip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n"
    with _connection(api, head % job + b"PK\x03\x04") as connection:
        for _ in range(2 * TIMEOUT_S):
            connection.sendall(bytes(LEAST_BYTES))
            time.sleep(1)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


def test_a_client_that_waits_to_be_asked_for_its_upload_hears_first_that_it_is_too_large(
    api: httpx.Client,
) -> None:
    job = api.post("/v1/jobs", json={}).json()["id"]
    head = f"PUT /v1/jobs/{job}/uploads/huge.zip HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    with _connection(api, f"{head}Content-Length: {2**41}\r\n\r\n".encode()) as connection:
        connection.settimeout(TIMEOUT_S - 1)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_reader_that_takes_nothing_is_cut_off(api: httpx.Client) -> None:
    document = api.get("/v1/openapi.json").content
    asked = 50_000_000 // len(document)  # far more than sockets hold
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((api.base_url.host, api.base_url.port))
        connection.sendall(asked * b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(2.5 * TIMEOUT_S)
        held = 0  # what the system had taken already
        while block := connection.recv(2**20):
            held += len(block)
    assert held < asked * len(document) / 2


@pytest.mark.parametrize(("path", "limit"), [("/v1/jobs", BODY_BYTES), ("/v1/labels", LABELS_BYTES)])
def test_a_body_over_its_limit_is_refused_before_it_is_read(api: httpx.Client, path: str, limit: int) -> None:
    announced = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {limit + 1}\r\n\r\n"
    with _connection(api, announced.encode()) as connection:
        connection.settimeout(TIMEOUT_S - 1)  # sooner than the body counts as stalled
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    chunked = api.post(path, content=(bytes(2**16) for _ in range(limit // 2**16 + 1)))
    assert (chunked.status_code, chunked.json()["code"]) == (413, "body_too_large")
    within = api.post(path, content=b" " * limit)
    assert within.status_code == 422


def _connection(api: httpx.Client, beginning: bytes) -> socket.socket:
    made = socket.create_connection((api.base_url.host, api.base_url.port))
    made.sendall(beginning)
    made.setblocking(False)
    return made


def _drip(connection: socket.socket) -> bytes | None:
    """Send a byte; what the server said when it ended the connection: the status, or nothing at all."""
    try:
        return connection.recv(4096)[9:12]  # first: once it has ended, sending fails
    except BlockingIOError:
        pass
    except ConnectionError:
        return b""
    with suppress(BlockingIOError, ConnectionError):
        connection.send(b"x")
    return None
