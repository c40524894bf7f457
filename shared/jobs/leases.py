"""The lease protocol: how work is taken, kept, finished and found again.

The guarantee: every upload of a running job is unpacked to its end, and every unit is completed,
exactly once in effect, whatever dies or is delivered twice, as long as the database keeps its rows.

- The database is the truth. A message is a doorbell that carries an id; it may be lost or doubled.
- `take` is one UPDATE: pending, or leased and run out, becomes leased, and `attempts` goes up. Whoever
  gets no row goes away.
- No transaction is open while somebody works. The worker renews between steps (a batch, 8 MB read), once a
  tenth of the lease has passed, and never by a timer, so that one that hangs loses its lease.
- Whatever a worker commits goes through `fence` first: its lease must still be its own (same
  `attempts`) and the job still running. Otherwise `LeaseLost`, and the work is dropped.
- Whoever drops the work, or cannot go on, gives the lease back, if it is still its own: at once where a
  worker is asked to end, after a pause that grows (`not_before`) where store or database failed.
  `returns` counts both: they are no evidence that the work itself is bad, as `attempts - returns` and
  `crashes` are.
- `sweep` gives expired leases back and rings again what waits unheard. It is the one recovery path.
- Whoever changes a job's state or adds work locks the job's row first (`lock_job`). SQLite's
  BEGIN IMMEDIATE does the same for the whole database.

All times are the database's clock, in seconds. The statements are in `shared.database.work` and `jobs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.core.errors.infrastructure import ObjectMissing
from shared.core.retries import jittered
from shared.core.states import JobState
from shared.database import bells, jobs, work
from shared.database.leasing import LeaseLost
from shared.database.sessions import Connection, Database
from shared.database.tables import unit, upload
from shared.database.work import Lease, LeasedTable
from shared.jobs import webhooks
from shared.jobs.doorbell import CLASSIFY, UNPACK, Bell, queue_of

# What a sweep rings at most, so that a tick stays short whatever waits.
SWEEP_LIMIT = 1000
# The pause after the first failure of something outside, and the longest.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# Given back that often, some ten minutes, before an object that the store does not find counts as lost.
RETURNS_UNTIL_LOST = 20


def take(database: Database, table: LeasedTable, row_id: int, lease_s: float) -> Lease | None:
    """Lease an upload or unit for `lease_s` seconds; None when there is nothing to do, or not yet."""
    return database.write_again(lambda connection: work.lease(connection, database, table, row_id, lease_s))


def renew(database: Database, lease: Lease, lease_s: float) -> None:
    """Hold the lease for another `lease_s` seconds, or raise `LeaseLost`."""
    until = database.clock + lease_s
    database.write_again(lambda connection: work.fence(connection, lease, lease_until=until))


def give_back(
    database: Database,
    lease: Lease,
    *,
    pause: bool = False,
    crashed: bool = False,
    kept: Callable[[Connection], None] = lambda _: None,
) -> None:
    """Set the row to pending, for a worker that cannot go on; another worker's lease is left alone.

    A lease that only its job's end has made void is given back too: nobody works on it any more, and whoever
    lets the job run again shall not wait until it runs out.

    Args:
        database: where the row is.
        lease: of the row.
        pause: nobody takes it for a while, longer each time (up to a minute).
        crashed: the work itself was at fault.
        kept: writes what was done already, committed with it; called with the connection.
    """
    pause_s = jittered(FIRST_PAUSE_S, lease.returns, LONGEST_PAUSE_S) if pause else None

    def give(connection: Connection) -> None:
        values = work.returned(database, lease.table, pause_s=pause_s, crashed=crashed)
        work.fence(connection, lease, **values)
        kept(connection)

    try:
        database.write_again(give)
    except LeaseLost:
        # Whatever the job's state: nothing of the work is kept.
        database.write_again(lambda connection: work.release(connection, lease))


def is_lost(error: Exception, lease: Lease) -> bool:
    """Whether the object that the work needs has been missing from the store for so long that it is lost."""
    return isinstance(error, ObjectMissing) and lease.returns >= RETURNS_UNTIL_LOST


def record_crash(database: Database, table: LeasedTable, row_id: int) -> None:
    """A child was lost, or ended by the time limit, on this unit or upload."""
    database.write_again(lambda connection: work.count_crash(connection, table, row_id))


def close_job(database: Database, job_id: int) -> JobState | None:
    """End a running job that has nothing left to do; returns its state after that.

    `done`, or `failed` when not one clip was found in its uploads.
    """
    with database.write() as connection:
        state = jobs.lock_job(connection, job_id)
        if state != JobState.RUNNING or jobs.is_worked_on(connection, job_id):
            return state
        ended = JobState.DONE if jobs.has_clips(connection, job_id) else JobState.FAILED
        jobs.end_job(connection, database, job_id, ended)
        webhooks.owe(connection, database, job_id)
        return ended


def sweep(database: Database, ring_again_s: float, empty_queues: frozenset[str]) -> list[Bell]:
    """Find again what was lost; ring the returned bells after this call (it has committed by then).

    Expired leases become pending. Rows that are pending, whose pause is over, and that were not rung for
    `ring_again_s` seconds or whose queue is empty, are rung again. Jobs that have nothing left are closed.
    At most `SWEEP_LIMIT` rows of a kind; the next tick takes the others. Two sweeps at once do no harm.
    """
    rung: list[Bell] = []
    with database.write() as connection:
        for task, table in ((UNPACK, upload), (CLASSIFY, unit)):
            for small in (True, False):
                quiet_s = None if queue_of(task, small) in empty_queues else ring_again_s
                rows = work.find_lost(
                    connection, database, table, small=small, ring_again_s=quiet_s, limit=SWEEP_LIMIT
                )
                rung.extend(bells_for(connection, task, rows))
    with database.read() as connection:
        finished = jobs.jobs_without_work(connection, SWEEP_LIMIT)
    for job_id in finished:
        close_job(database, job_id)
    return rung


def bells_for(connection: Connection, task: str, ids: Sequence[int]) -> list[Bell]:
    """The bells of these uploads or units, with the words that Flower shows."""
    if not ids:
        return []
    if task == UNPACK:
        return [
            Bell(UNPACK, one.id, one.small, f"job {one.job_id} · upload {one.name}")
            for one in bells.upload_bells(connection, ids)
        ]
    return [
        Bell(
            CLASSIFY,
            one.id,
            one.small,
            f"job {one.job_id} · shard {one.place}" + (f" of {one.total}" if one.total_is_known else ""),
        )
        for one in bells.unit_bells(connection, ids)
    ]
