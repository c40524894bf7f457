"""`voxmood down` in the middle of a job: the work is given back, and the next `up` goes on at once."""

from __future__ import annotations

import os
import signal

from sqlalchemy import func, select

from shared.database.sessions import Database
from shared.database.tables import unit, upload
from tests.faults.work import Work, clips, sent
from tests.stacks import Stack
from tests.waiting import wait_for

CLIPS = 600


def units(work: Work, state: str) -> int:
    with Database(work.stack.database_url).read() as connection:
        of_job = select(func.count()).where(unit.c.job_id == work.job, unit.c.state == state)
        return int(connection.execute(of_job).scalar_one())


def test_down_in_the_middle_of_a_job_leaves_nothing_leased_and_up_goes_on(standing: Stack) -> None:
    work = sent(standing, clips(CLIPS))
    work.start()
    wait_for(lambda: units(work, "done") >= 2, 60, "no shard was done")
    wait_for(lambda: units(work, "leased"), 60, "no shard was under way")
    supervisor = standing.record.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGTERM)  # what `voxmood down` does, a second of Python earlier
    wait_for(lambda: not supervisor.alive(), 60)
    left = units(work, "pending")
    assert left, "the job ended before the stack did"
    assert units(work, "leased") == 0
    with Database(standing.database_url).read() as connection:
        leased = select(func.count()).where(upload.c.job_id == work.job, upload.c.state == "leased")
        assert connection.execute(leased).scalar_one() == 0
        lost = select(func.max(unit.c.crashes)).where(unit.c.job_id == work.job)
        assert connection.execute(lost).scalar_one() == 0
    standing.up("--workers", "2")
    # A lease that had to run out would take 60 s of this.
    wait_for(lambda: units(work, "pending") < left, 30, "the next stack did not go on")
    work.is_classified()
