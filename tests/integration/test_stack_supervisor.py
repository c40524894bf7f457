"""The supervisor as a process, with a real Valkey and stand-in parts: what people and crashes do to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from shared.core.processes import start_time
from shared.stack.ports import LOOPBACK
from shared.stack.state import Record, StateFolder
from tests.stacks import processes_of
from tests.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


@pytest.fixture
def start(folder: StateFolder) -> Iterator[Start]:
    started = {}

    def begin(*parts: str, folder: StateFolder = folder) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.stand_ins", str(folder.path), *parts],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=REPOSITORY,
            start_new_session=True,
        )
        started[process] = folder.path
        return process

    yield begin
    for process, state in started.items():
        process.kill()
        process.wait()
        process.stdout.close()
        for left in processes_of(state):
            left.kill()


def running(folder: StateFolder, *names: str) -> Record:
    """The record, as soon as these parts run."""

    def all_run() -> bool:
        record = folder.record()
        return record is not None and all(
            name in record.children and record.children[name].alive() for name in names
        )

    wait_for(all_run)
    record = folder.record()
    assert record is not None
    return record


def voxmood(*arguments: str, folder: StateFolder) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from voxmood.cli.main import main; main()", *arguments]
    return subprocess.run(
        [*command, "--state", str(folder.path)], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )


def test_the_parts_run_and_the_queue_asks_for_its_password(start: Start, folder: StateFolder) -> None:
    start("parent", "once")
    record = running(folder, "queue", "parent")
    wait_for(lambda: "done" in folder.log("once").read_text())
    port = record.ports["queue"]
    password = folder.credentials().queue_password

    def answers() -> bool:
        try:
            return bool(redis.Redis(LOOPBACK, port, password=password, retry=None).ping())
        except redis.exceptions.ConnectionError:
            return False

    wait_for(answers)
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(LOOPBACK, port, retry=None).ping()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_supervisor_and_all_that_it_started(
    start: Start, folder: StateFolder, how: signal.Signals
) -> None:
    supervisor = start("parent", "stubborn")
    running(folder, "queue", "parent", "stubborn")
    wait_for(lambda: len(processes_of(folder.path)) >= 4)
    wait_for(lambda: folder.log("stubborn").read_text())
    supervisor.send_signal(how)
    said, _ = supervisor.communicate(timeout=20)
    assert supervisor.returncode == 0
    assert f"{how.name}: ending all parts" in said
    assert "stubborn did not end within 1 s; killed" in said
    assert "parent did not end" not in said
    assert processes_of(folder.path) == []
    assert folder.record().children == {}


def test_a_second_ctrl_c_ends_it_at_once(start: Start, folder: StateFolder) -> None:
    supervisor = start("stubborn=600", "parent")
    running(folder, "stubborn", "parent")
    wait_for(lambda: folder.log("stubborn").read_text())
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.stdout.readline() == "SIGINT: ending all parts\n"
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(20) == 0
    assert processes_of(folder.path) == []


def test_down_ends_it(start: Start, folder: StateFolder) -> None:
    supervisor = start("parent")
    running(folder, "queue", "parent")
    done = voxmood("down", folder=folder)
    assert done.returncode == 0, done.stderr
    assert supervisor.wait(1) == 0
    assert processes_of(folder.path) == []


def test_down_without_a_stack_says_so(folder: StateFolder) -> None:
    done = voxmood("down", folder=folder)
    assert done.returncode == 1
    sentence = f"voxmood: No stack runs on {folder.path}. Start it with `"
    assert re.fullmatch(re.escape(sentence) + r"(\S+/)?voxmood up`\.\n", done.stderr), done.stderr
    assert not folder.path.exists()


def test_a_second_up_names_the_first(start: Start, folder: StateFolder) -> None:
    first = start("parent")
    record = running(folder, "queue", "parent")
    second = voxmood("up", folder=folder)
    assert second.returncode == 1
    said = " ".join(second.stderr.split())
    assert f"runs already on {folder.path}: {record.api_url} (process {first.pid})" in said
    assert first.poll() is None
    assert folder.record() == record, "the first one is not disturbed"


def test_kill_9_of_the_supervisor_leaves_no_process(start: Start, folder: StateFolder) -> None:
    supervisor = start("stubborn")
    running(folder, "queue", "stubborn")
    supervisor.kill()
    wait_for(lambda: not processes_of(folder.path))


def test_what_outlives_a_killed_supervisor_is_ended_by_the_next_up(start: Start, folder: StateFolder) -> None:
    first = start("parent")
    running(folder, "queue", "parent")
    wait_for(lambda: len(processes_of(folder.path)) == 3)
    first.kill()
    first.communicate()
    # The part's own child asked the kernel for nothing: it lives on, in the dead part's session.
    wait_for(lambda: len(processes_of(folder.path)) == 1)
    (orphan,) = processes_of(folder.path)
    second = start("once")
    running(folder, "queue")
    assert start_time(orphan.pid) is None
    second.terminate()
    said, _ = second.communicate(timeout=20)
    assert "killed what an earlier run had left: parent" in said


def test_what_outlives_a_killed_supervisor_is_ended_by_down(start: Start, folder: StateFolder) -> None:
    first = start("parent")
    running(folder, "queue", "parent")
    wait_for(lambda: len(processes_of(folder.path)) == 3)
    first.kill()
    first.communicate()
    done = voxmood("down", folder=folder)
    assert done.returncode == 0
    assert "Killed what parent had left." in done.stderr
    assert processes_of(folder.path) == []


def test_a_killed_part_is_started_again_and_the_others_are_not(start: Start, folder: StateFolder) -> None:
    supervisor = start("parent")
    before = running(folder, "queue", "parent").children
    os.kill(before["queue"].pid, signal.SIGKILL)
    wait_for(lambda: folder.record().children.get("queue", before["queue"]).restarts == 1)
    after = running(folder, "queue", "parent").children
    assert after["parent"] == before["parent"]
    supervisor.terminate()
    said, _ = supervisor.communicate(timeout=20)
    assert "queue was ended by SIGKILL; starts again in 1 s. Its log: " in said


def test_a_part_that_always_crashes_does_not_hinder_the_others(start: Start, folder: StateFolder) -> None:
    supervisor = start("crasher", "parent")
    before = running(folder, "queue", "parent").children
    said = [next(line for line in supervisor.stdout if "crasher" in line) for _ in range(2)]
    assert "crasher ended with status 3; starts again in 1 s" in said[0]
    assert "crasher ended with status 3; starts again in 2 s" in said[1]
    assert running(folder, "queue", "parent").children["parent"] == before["parent"]


def test_two_stacks_live_side_by_side(start: Start, folder: StateFolder, tmp_path: Path) -> None:
    other = StateFolder(tmp_path / "other")
    start("parent")
    start("parent", folder=other)
    mine, theirs = running(folder, "queue", "parent"), running(other, "queue", "parent")
    assert mine.ports != theirs.ports
    assert voxmood("down", folder=folder).returncode == 0
    assert running(other, "queue", "parent").children == theirs.children
