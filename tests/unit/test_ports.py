"""A stack gets ports that nobody else has."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.stack.ports import GRPC_OFFSET, LOOPBACK, Ports, candidates, is_free, remove_store_sockets


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as chosen:
        yield chosen


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with Ports() as ports:
        return ports.choose(range(12_000, 22_000))


def test_a_port_on_which_another_program_listens_is_passed_over(ports: Ports, listening: int) -> None:
    free = free_port()
    assert ports.choose([listening, free]) == free


def test_a_port_that_listens_on_all_addresses_is_taken(ports: Ports) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_without_a_free_port_there_is_none(ports: Ports, listening: int) -> None:
    assert ports.choose([listening]) is None


def test_a_chosen_port_is_not_chosen_again_before_its_server_listens(ports: Ports) -> None:
    free = free_port()
    assert ports.choose([free]) == free
    assert is_free(free), "no server listens yet"
    with Ports() as others:
        assert others.choose([free]) is None


def test_a_released_port_can_be_chosen_again(ports: Ports) -> None:
    free = free_port()
    assert ports.choose([free]) == free
    ports.release()
    assert ports.choose([free]) == free


def test_the_ports_of_a_process_that_was_killed_are_free_at_once(ports: Ports) -> None:
    free = free_port()
    program = (
        "import sys, time; from shared.stack.ports import Ports; ports = Ports();"
        f"print(ports.choose([{free}]), flush=True); time.sleep(100)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == f"{free}\n"
    assert ports.choose([free]) is None
    holder.kill()
    holder.communicate()
    assert ports.choose([free]) == free


def test_a_store_port_needs_its_grpc_port_as_well(ports: Ports) -> None:
    first, second = free_port(), None
    with socket.create_server((LOOPBACK, first + GRPC_OFFSET)):
        second = ports.choose([first, *range(12_000, 22_000)], offsets=(0, GRPC_OFFSET))
    assert second not in (None, first)


def test_the_last_port_is_tried_first_and_the_usual_one_next() -> None:
    assert candidates(8000, 8017)[:3] == [8017, 8000, 8001]
    assert candidates(8000).count(8000) == 1
    assert candidates(8000, 8001).count(8001) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_port_whose_socket_another_user_left_is_taken() -> None:
    port = free_port()
    left = Path(f"/tmp/seaweedfs-master-grpc-{port}.sock")
    left.touch()
    try:
        os.chown(left, 65534, 65534)
        assert not is_free(port), "the store could not start there"
    finally:
        left.unlink()


def test_sockets_that_the_store_left_are_removed() -> None:
    port = free_port()
    left = Path(f"/tmp/seaweedfs-master-grpc-{port + GRPC_OFFSET}.sock")
    left.touch()
    assert is_free(port + GRPC_OFFSET), "our own are no hindrance: the store replaces them"
    remove_store_sockets([port])
    assert not left.exists()
