"""The whole stack, as people and power cuts treat it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from infra.stack.parts import STORE_PORTS
from infra.stack.state import StateFolder
from tests.servers import Stack, processes_of


def wait_for(condition: Callable[[], object], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def health(stack: Stack) -> dict[str, object]:
    try:
        return httpx.get(f"{stack.api_url}/health/ready", trust_env=False, timeout=5).json()
    except httpx.HTTPError:
        return {"ready": False}


def test_two_stacks_stand_side_by_side(stack: Stack, own_stack: Stack) -> None:
    assert not set(stack.record.ports.values()) & set(own_stack.record.ports.values())
    wait_for(lambda: health(stack)["ready"])
    wait_for(lambda: health(own_stack)["ready"])


def test_every_part_listens_on_the_loopback_alone(own_stack: Stack) -> None:
    listening = {}
    for process in processes_of(own_stack.state):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                listening[connection.laddr.port] = connection.laddr.ip
    assert set(listening.values()) == {"127.0.0.1"}
    assert set(own_stack.record.ports.values()) <= set(listening)


def test_the_stores_other_doors_are_shut(own_stack: Stack) -> None:
    ports = own_stack.record.ports
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


def test_a_second_up_is_refused_and_a_detached_one_names_the_addresses(own_stack: Stack) -> None:
    before = own_stack.record
    refused = own_stack.voxmood("up")
    assert refused.returncode == 1
    assert f"A stack runs already on {own_stack.state}: {before.api_url}" in refused.stderr
    welcomed = own_stack.voxmood("up", "--detach")
    assert welcomed.returncode == 0
    assert before.api_url in welcomed.stdout
    assert own_stack.record == before


def test_an_explicit_port_that_is_taken_starts_nothing(own_stack: Stack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = own_stack.voxmood("up", "--detach", "--state", str(tmp_path), "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} is taken by another program. Choose another with --port" in done.stderr
    assert processes_of(tmp_path) == []
    assert StateFolder(tmp_path).record() is None


def test_each_part_that_is_killed_comes_back(own_stack: Stack) -> None:
    before = own_stack.record.children
    for child in before.values():
        os.killpg(child.pid, signal.SIGKILL)
    wait_for(lambda: all(child.restarts for child in own_stack.record.children.values()))
    wait_for(lambda: set(own_stack.record.children) == set(before))
    wait_for(lambda: health(own_stack)["ready"], limit_s=60)
    log = StateFolder(own_stack.state).log("supervisor").read_text()
    for name in before:
        assert f"{name} was ended by SIGKILL; starts again in 1 s" in log


def test_kill_9_of_the_supervisor_leaves_no_process_and_the_next_up_goes_on(own_stack: Stack) -> None:
    jobs = own_stack.query("SELECT id, state FROM job ORDER BY id")
    addresses = own_stack.record.ports
    supervisor = own_stack.record.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_for(lambda: not processes_of(own_stack.state), limit_s=5)
    assert own_stack.voxmood("down").returncode == 1, "nothing runs, and nothing is left"
    own_stack.up("--workers", "1")
    assert own_stack.record.ports == addresses
    assert own_stack.query("SELECT id, state FROM job ORDER BY id") == jobs


def test_sigterm_leaves_no_process(own_stack: Stack) -> None:
    supervisor = own_stack.record.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGTERM)
    wait_for(lambda: not supervisor.alive())
    assert processes_of(own_stack.state) == []
    assert own_stack.record.children == {}
    stores = [own_stack.record.ports[name] for name in STORE_PORTS]
    assert [left for port in stores for left in Path("/tmp").glob(f"seaweedfs-*{port}.sock")] == []
