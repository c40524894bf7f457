"""The invariant itself: it notices what the other tests trust it to notice."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from shared.database.sessions import Database
from tests.faults.work import clips, sent
from tests.stacks import Stack

OF_JOB = "WHERE job_id = :job"
LAST = f"(SELECT max(id) FROM clip {OF_JOB} AND member = 19)"
# A harm, how it is noticed, and what undoes it.
HARMS = [
    (f"UPDATE upload SET clips = clips + 1 {OF_JOB}", "'clips': 21",
     f"UPDATE upload SET clips = clips - 1 {OF_JOB}"),
    (f"UPDATE unit SET rejected = rejected + 1 {OF_JOB}", "units whose counts are not",
     f"UPDATE unit SET rejected = rejected - 1 {OF_JOB}"),
    (f"UPDATE unit SET state = 'pending' {OF_JOB}", "not done",
     f"UPDATE unit SET state = 'done' {OF_JOB}"),
    (f"UPDATE clip SET path = '018.wav' WHERE id = {LAST}", "1 clips lost, as .*019.wav",
     f"UPDATE clip SET path = '019.wav' WHERE id = {LAST}"),
    (f"DELETE FROM prediction WHERE clip_id = {LAST}", "1 clips lost, as .*019.wav", ""),
]  # fmt: skip


def test_a_lost_a_doubled_and_a_miscounted_clip_are_noticed(standing: Stack) -> None:
    work = sent(standing, clips(20))
    work.start()
    work.is_whole()
    database = Database(standing.database_url)

    def execute(statement: str) -> None:
        with database.write() as connection:
            connection.execute(text(statement), {"job": work.job})

    for harm, notice, undo in HARMS:
        execute(harm)
        with pytest.raises(AssertionError, match=notice):
            work.is_whole()
        if undo:
            execute(undo)
            work.is_whole()
    database.close()
