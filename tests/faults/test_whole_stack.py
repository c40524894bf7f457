"""Parts, the supervisor and everything at once are killed under a job. The last: it ends the stack."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from shared.stack.programs import STORE_PORTS
from shared.stack.state import StateFolder
from tests.faults.conftest import is_ready
from tests.faults.work import SHARD_CLIPS, clips, sent
from tests.stacks import Stack, processes_of
from tests.waiting import wait_for


def test_each_part_is_killed_under_a_job_and_comes_back(standing: Stack, chance: random.Random) -> None:
    """Valkey, SeaweedFS, API, each worker's main process, beat, Flower and the page, in a random order."""
    work = sent(standing, clips(30 * SHARD_CLIPS))
    log = StateFolder(standing.state).log("supervisor")
    said = len(log.read_text())
    before = standing.record.children
    work.start()
    for name in chance.sample(sorted(before), len(before)):
        os.killpg(before[name].pid, signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.1))
    wait_for(lambda: all(was_replaced(standing, name, child.pid) for name, child in before.items()), 60)
    is_ready(standing)
    for name in before:
        assert f"{name} was ended by SIGKILL; starts again in " in log.read_text()[said:]
    work.is_classified()


def was_replaced(stack: Stack, name: str, pid: int) -> bool:
    """Whether the part has another process now."""
    child = stack.record.children.get(name)
    return child is not None and child.pid != pid


def test_kill_9_of_the_supervisor_leaves_no_process_and_the_next_up_goes_on(
    standing: Stack, chance: random.Random
) -> None:
    work = sent(standing, clips(30 * SHARD_CLIPS))
    ports = standing.record.ports
    supervisor = standing.record.supervisor
    assert supervisor is not None
    work.start()
    time.sleep(chance.uniform(0, 1))
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_for(lambda: not processes_of(standing.state), limit_s=15)
    assert standing.voxmood("down").returncode == 1, "nothing runs, and nothing is left"
    standing.up("--workers", "1")
    assert standing.record.ports == ports
    work.is_classified()


def test_sigterm_leaves_no_process(standing: Stack) -> None:
    supervisor = standing.record.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGTERM)
    wait_for(lambda: not supervisor.alive())
    assert processes_of(standing.state) == []
    assert standing.record.children == {}
    stores = [standing.record.ports[name] for name in STORE_PORTS]
    assert [left for port in stores for left in Path("/tmp").glob(f"seaweedfs-*{port}.sock")] == []
