"""The lease protocol, sentence by sentence, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.database.jobs import lock_job
from shared.database.leasing import LeaseLost
from shared.database.sessions import Database
from shared.database.tables import clip, job, unit, upload
from shared.database.work import Lease, fence
from shared.jobs import leases
from tests.integration.builders import make_job, row_of, set_row

NOTHING_EMPTY: frozenset[str] = frozenset()


def test_of_many_who_ring_at_once_one_gets_the_lease(database: Database) -> None:
    made = make_job(database)
    barrier = threading.Barrier(8)

    def take(_: int) -> Lease | None:
        barrier.wait()
        return leases.take(database, unit, made.unit, 60)

    with ThreadPoolExecutor(8) as pool:
        got = [lease for lease in pool.map(take, range(8)) if lease is not None]
    assert len(got) == 1
    assert got[0].attempts == 1
    assert got[0].job_id == made.job


def test_an_expired_lease_is_taken_over_and_the_old_holder_commits_nothing(database: Database) -> None:
    made = make_job(database)
    stale = leases.take(database, unit, made.unit, 0.05)
    assert stale is not None
    time.sleep(0.1)
    fresh = leases.take(database, unit, made.unit, 60)
    assert fresh is not None
    assert fresh.attempts == 2
    with pytest.raises(LeaseLost), database.write() as connection:
        fence(connection, stale, state="done")
    assert row_of(database, unit, made.unit).state == "leased"
    with database.write() as connection:
        fence(connection, fresh, state="done")
    assert row_of(database, unit, made.unit).state == "done"


def test_what_comes_before_a_failed_fence_is_rolled_back(database: Database) -> None:
    made = make_job(database)
    lease = leases.take(database, unit, made.unit, 60)
    assert lease is not None
    set_row(database, job, made.job, state="cancelled")
    with pytest.raises(LeaseLost), database.write() as connection:
        connection.execute(clip.delete())
        fence(connection, lease, state="done")
    assert row_of(database, clip, made.clips[0]) is not None


@pytest.mark.parametrize("state", ["open", "done", "failed", "cancelled", "deleting"])
def test_only_running_jobs_are_worked_on(database: Database, state: str) -> None:
    made = make_job(database)
    set_row(database, job, made.job, state=state)
    assert leases.take(database, unit, made.unit, 60) is None
    assert leases.sweep(database, 300, NOTHING_EMPTY) == []


def test_renewing_keeps_a_lease_and_tells_who_lost_it(database: Database) -> None:
    made = make_job(database)
    lease = leases.take(database, unit, made.unit, 1)
    assert lease is not None
    until = row_of(database, unit, made.unit).lease_until
    leases.renew(database, lease, 60)
    assert row_of(database, unit, made.unit).lease_until > until + 50
    set_row(database, job, made.job, state="cancelled")
    with pytest.raises(LeaseLost):
        leases.renew(database, lease, 60)


def test_a_lease_given_back_is_rung_by_the_next_sweep(database: Database) -> None:
    made = make_job(database)
    lease = leases.take(database, unit, made.unit, 60)
    assert lease is not None
    leases.give_back(database, lease)
    leases.give_back(database, lease)  # no longer ours: left alone
    assert [(bell.task, bell.id) for bell in leases.sweep(database, 300, NOTHING_EMPTY)] == [
        ("classify", made.unit)
    ]


def test_the_sweep_rings_expired_leases_once_and_pending_rows_after_their_time(database: Database) -> None:
    made = make_job(database, upload_state="pending")
    assert leases.take(database, unit, made.unit, 0.05) is not None
    set_row(database, upload, made.upload, rung_at=time.time() - 400)
    time.sleep(0.1)
    bells = leases.sweep(database, 300, NOTHING_EMPTY)
    assert {(bell.task, bell.id) for bell in bells} == {("classify", made.unit), ("unpack", made.upload)}
    assert row_of(database, unit, made.unit).state == "pending"
    assert leases.sweep(database, 300, NOTHING_EMPTY) == []
    assert leases.sweep(database, 300, frozenset({"classify.small"})) == []
    assert [bell.id for bell in leases.sweep(database, 300, frozenset({"classify"}))] == [made.unit]


def test_two_sweeps_at_once_do_no_harm(database: Database) -> None:
    made = [make_job(database) for _ in range(10)]
    with ThreadPoolExecutor(2) as pool:
        swept = [pool.submit(leases.sweep, database, 300, NOTHING_EMPTY) for _ in range(2)]
        rung = [bell.id for sweep in swept for bell in sweep.result()]
    assert set(rung) == {one.unit for one in made}
    assert all(row_of(database, unit, one.unit).state == "pending" for one in made)


def test_bells_say_job_and_shard_and_take_the_job_s_queue(database: Database) -> None:
    made = make_job(database, small=True)
    with database.read() as connection:
        bell = leases.bells_for(connection, "classify", [made.unit])[0]
    assert (bell.queue, bell.text) == ("classify.small", f"job {made.job} · shard 1 of 1")
    set_row(database, upload, made.upload, state="leased")
    with database.read() as connection:
        assert leases.bells_for(connection, "classify", [made.unit])[0].text == f"job {made.job} · shard 1"


def test_a_job_closes_when_nothing_is_left(database: Database) -> None:
    made = make_job(database)
    assert leases.close_job(database, made.job) == "running"
    set_row(database, unit, made.unit, state="done")
    set_row(database, upload, made.upload, state="leased")
    assert leases.close_job(database, made.job) == "running"
    set_row(database, upload, made.upload, state="done")
    assert leases.close_job(database, made.job) == "done"
    assert row_of(database, job, made.job).ended_at is not None


def test_a_job_without_one_clip_failed(database: Database) -> None:
    made = make_job(database, clips=0, upload_state="failed", unit_state="done")
    assert leases.close_job(database, made.job) == "failed"


def test_the_sweep_closes_a_job_whose_last_worker_died_before_closing_it(database: Database) -> None:
    made = make_job(database, unit_state="done")
    leases.sweep(database, 300, NOTHING_EMPTY)
    assert row_of(database, job, made.job).state == "done"


def test_the_last_two_units_finishing_together_close_the_job_once(database: Database) -> None:
    for _ in range(5):
        made = make_job(database, unit_state="done")
        with ThreadPoolExecutor(2) as pool:
            states = list(pool.map(lambda job_id: leases.close_job(database, job_id), [made.job] * 2))
        assert states == ["done", "done"]


def test_a_crash_is_counted_on_units_that_are_not_done(database: Database) -> None:
    made = make_job(database)
    leases.record_crash(database, unit, made.unit)
    assert row_of(database, unit, made.unit).crashes == 1
    set_row(database, unit, made.unit, state="done")
    leases.record_crash(database, unit, made.unit)
    assert row_of(database, unit, made.unit).crashes == 1


def test_a_cancel_that_waits_for_a_commit_comes_after_it(database: Database) -> None:
    """The fence locks the job's row: a cancel can come before or after a commit, never inside it."""
    made = make_job(database)
    lease = leases.take(database, unit, made.unit, 60)
    assert lease is not None
    fenced, order = threading.Event(), []

    def cancel() -> None:
        fenced.wait()
        with database.write() as connection:
            lock_job(connection, made.job)
            order.append("cancel")

    thread = threading.Thread(target=cancel)
    thread.start()
    with database.write() as connection:
        fence(connection, lease, state="done")
        fenced.set()
        time.sleep(0.3)
        order.append("commit")
    thread.join()
    assert order == ["commit", "cancel"]
