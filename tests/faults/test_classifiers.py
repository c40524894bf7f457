"""Workers that classify are killed inside a shard, or sleep beyond their lease."""

from __future__ import annotations

import os
import signal

from shared.stack.state import StateFolder
from tests.faults.planting import Planted
from tests.faults.work import SHARD_CLIPS, Work, clips, sent
from tests.stacks import Stack
from tests.waiting import wait_for

OVERTAKEN = "lease lost; another worker has it"


def test_a_child_killed_inside_a_shard_is_followed_by_another(standing: Stack, planted: Planted) -> None:
    work = sent(standing, clips(4 * SHARD_CLIPS))
    planted.arm("classify.before_commit")
    work.start()
    planted.struck("classify.before_commit")
    work.is_classified()
    assert most_attempts(work) >= 2


def test_a_worker_that_slept_beyond_its_lease_writes_nothing(standing: Stack, planted: Planted) -> None:
    """Stopped with a computed shard in hand; another does the shard; then it goes on, at its fence."""
    work = sent(standing, clips(4 * SHARD_CLIPS))
    log = StateFolder(standing.state).log("classify")
    before = log.read_text().count(OVERTAKEN)
    planted.arm("classify.before_commit", "STOP")
    work.start()
    sleeper = planted.struck("classify.before_commit")
    try:
        work.is_classified()
    finally:
        os.kill(sleeper, signal.SIGCONT)
    wait_for(lambda: log.read_text().count(OVERTAKEN) > before, 20, "the fence let it through")
    assert most_attempts(work) >= 2
    work.is_classified()


def most_attempts(work: Work) -> int:
    """How often a shard of the job was taken."""
    attempts = work.stack.query("SELECT max(attempts) FROM unit WHERE job_id = :job", job=work.job)
    return int(attempts[0][0])
