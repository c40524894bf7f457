"""What a stack opens to the machine, and what it refuses."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import psutil

from shared.stack.state import StateFolder
from tests.stacks import Stack, processes_of


def test_every_part_listens_on_the_loopback_alone(standing: Stack) -> None:
    listening = {}
    for process in processes_of(standing.state):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                listening[connection.laddr.port] = connection.laddr.ip
    assert set(listening.values()) == {"127.0.0.1"}
    assert set(standing.record.ports.values()) <= set(listening)


def test_the_stores_other_doors_are_shut(standing: Stack) -> None:
    ports = standing.record.ports
    bucket = "/buckets/voxmood/"
    for name, path in (
        ("s3", "/voxmood"),
        ("store_filer", bucket),
        ("store_master", "/col/delete?collection=none"),
        ("store_master", "/dir/assign"),
        ("store_volume", "/ui/index.html"),
        ("store_admin", "/"),
    ):
        answer = httpx.get(f"http://127.0.0.1:{ports[name]}{path}", trust_env=False)
        assert answer.status_code in (401, 403, 404), (name, path, answer.status_code)
    assert (
        httpx.delete(f"http://127.0.0.1:{ports['store_filer']}{bucket}", trust_env=False).status_code == 404
    )


def test_a_second_up_is_refused_and_a_detached_one_names_the_addresses(standing: Stack) -> None:
    before = standing.record
    refused = standing.voxmood("up")
    assert refused.returncode == 1
    assert f"A stack runs already on {standing.state}: {before.api_url}" in refused.stderr
    welcomed = standing.voxmood("up", "--detach")
    assert welcomed.returncode == 0
    assert before.api_url in welcomed.stdout
    assert standing.record == before


def test_an_explicit_port_that_is_taken_starts_nothing(standing: Stack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = standing.voxmood("up", "--detach", "--state", str(tmp_path), "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} is taken by another program. Choose another with --port" in done.stderr
    assert processes_of(tmp_path) == []
    assert StateFolder(tmp_path).record() is None
