"""A process is told from others, dies with its parent, and a part is started again with pauses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from shared.core.processes import start_time
from shared.stack import processes
from shared.stack.processes import Child, end_leftovers, rotate
from shared.stack.programs import Program
from shared.stack.state import ChildRecord
from tests.waiting import wait_for

MakeChild = Callable[..., Child]


@pytest.fixture
def make_child(tmp_path: Path) -> Iterator[MakeChild]:
    made = []

    def make(program: str, **options: object) -> Child:
        part = Program("part", (sys.executable, "-c", program), **options)
        child = Child(part, {"VOXMOOD_STATE": str(tmp_path)}, tmp_path, tmp_path / "part.log")
        made.append(child)
        return child

    yield make
    for child in made:
        child.kill()


def tend_until(child: Child, done: Callable[[], object], limit_s: float = 10.0) -> list[str]:
    """Tend the child as the supervisor does; what it said."""
    said = []
    deadline = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < deadline, said
        if sentence := child.check():
            said.append(sentence)
        time.sleep(0.01)
    return said


def test_the_start_time_tells_a_process_from_a_later_one_with_its_number() -> None:
    mine = start_time(os.getpid())
    assert mine == start_time(os.getpid())
    ticks = os.sysconf("SC_CLK_TCK")
    assert mine is not None
    assert psutil.boot_time() + mine / ticks == pytest.approx(psutil.Process().create_time(), abs=0.5)


def test_a_process_that_has_ended_has_no_start_time() -> None:
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert start_time(ended.pid) is None, "a zombie"
    ended.wait()
    assert start_time(ended.pid) is None


def test_a_name_with_brackets_does_not_hide_the_start_time(tmp_path: Path) -> None:
    odd = tmp_path / "a) (b 1 2"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(odd), "100"])
    try:
        assert start_time(process.pid) == pytest.approx(start_time(os.getpid()), abs=10**7)
        assert Path(f"/proc/{process.pid}/stat").read_text().split(") ")[0] != str(process.pid)
    finally:
        process.kill()
        process.wait()


def test_a_process_dies_with_its_parent() -> None:
    child = (
        "import os, time; from shared.core.processes import die_with_parent;"
        "die_with_parent(os.getppid()); print(os.getpid(), flush=True); time.sleep(100)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_for(lambda: start_time(pid) is None)


def test_a_process_whose_parent_was_gone_before_it_asked_ends_at_once() -> None:
    program = "from shared.core.processes import die_with_parent; die_with_parent(1 << 22); print('lives on')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def test_the_parent_itself_does_not_die_of_the_question() -> None:
    program = "import os; from shared.core import processes; processes.die_with_parent(os.getpid()); print(1)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n")


def test_a_part_that_ends_is_started_again_after_growing_pauses(
    make_child: MakeChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PAUSE_S", 0.01)
    monkeypatch.setattr(processes, "LONGEST_PAUSE_S", 0.05)
    child = make_child("raise SystemExit(3)")
    child._pause_s = processes.PAUSE_S
    said = tend_until(child, lambda: child.restarts == 5)
    assert len(said) == 5
    assert all("part ended with status 3; starts again in" in sentence for sentence in said)
    assert child._pause_s == 0.05, "the pauses stop growing"


def test_pauses_double_from_a_second_to_half_a_minute(make_child: MakeChild) -> None:
    child = make_child("")
    pauses = [child._start_later(0.0, "ended").partition(" in ")[2].partition(".")[0] for _ in range(7)]
    assert pauses == ["1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s"]


def test_a_part_that_was_healthy_for_a_minute_starts_again_after_a_second(
    make_child: MakeChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "HEALTHY_S", 0.0)
    child = make_child("raise SystemExit(3)")
    child._pause_s = 30.0
    (sentence,) = tend_until(child, lambda: child.restarts == 1)
    assert "in 1 s" in sentence


def test_a_part_that_is_killed_says_by_which_signal(make_child: MakeChild) -> None:
    child = make_child("import time; time.sleep(100)")
    tend_until(child, child.record)
    os.kill(child.record().pid, signal.SIGKILL)
    (sentence,) = tend_until(child, lambda: child.restarts == 1)
    assert "part was ended by SIGKILL" in sentence


def test_a_program_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    child = Child(Program("part", ("/no/such/program",)), {}, tmp_path, tmp_path / "part.log")
    (sentence,) = tend_until(child, lambda: child.restarts == 1)
    assert "/no/such/program" in sentence


def test_a_part_that_runs_once_is_not_started_again_when_it_has_succeeded(make_child: MakeChild) -> None:
    child = make_child("print('done')", once=True)
    assert tend_until(child, lambda: child.finished) == []
    assert child.check() is None
    assert child.restarts == 0


def test_what_a_part_started_ends_with_it(make_child: MakeChild, tmp_path: Path) -> None:
    child = make_child(
        "import subprocess; print(subprocess.Popen(['sleep', '100']).pid, flush=True); raise SystemExit(3)"
    )
    tend_until(child, lambda: child.restarts == 1)
    assert start_time(int((tmp_path / "part.log").read_text())) is None


def test_a_part_leads_a_session_of_its_own(make_child: MakeChild) -> None:
    child = make_child("import time; time.sleep(100)")
    tend_until(child, child.record)
    assert os.getsid(child.record().pid) == child.record().pid


def part_of_an_earlier_run(
    folder: Path, program: str = "import time; time.sleep(100)"
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program], start_new_session=True, env={"VOXMOOD_STATE": str(folder)}
    )


def recorded(process: subprocess.Popen[bytes]) -> ChildRecord:
    return ChildRecord(pid=process.pid, start_time=start_time(process.pid) or 1)


def test_only_processes_of_a_recorded_part_are_leftovers(tmp_path: Path) -> None:
    mine, other = part_of_an_earlier_run(tmp_path), part_of_an_earlier_run(tmp_path)
    try:
        reused = recorded(other).model_copy(update={"start_time": recorded(other).start_time - 1})
        records = {"mine": recorded(mine), "other": reused, "gone": ChildRecord(pid=1 << 22, start_time=1)}
        assert end_leftovers(records, tmp_path) == ["mine"]
        assert start_time(mine.pid) is None
        assert other.poll() is None
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()


def test_a_leftover_whose_leader_has_ended_is_found(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    orphan = f"import subprocess; subprocess.Popen(['sh', '-c', 'touch {ready}; sleep 100'])"
    leader = part_of_an_earlier_run(tmp_path, orphan)
    records = {"classify": recorded(leader)}
    leader.wait()
    # A process that is just being executed has no environment yet, and its parent goes on before it has one.
    wait_for(ready.exists)
    assert end_leftovers(records, tmp_path / "elsewhere") == []
    assert end_leftovers(records, tmp_path) == ["classify"]
    assert end_leftovers(records, tmp_path) == []


def test_a_log_that_is_too_long_is_moved_while_the_part_goes_on_writing(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"0123456789")
        rotate(log, over_bytes=10)
        assert log.read_bytes() == b"0123456789"
        rotate(log, over_bytes=9)
        writer.write(b"ab")
    assert log.read_bytes() == b"ab"
    assert (tmp_path / "part.log.1").read_bytes() == b"0123456789"
