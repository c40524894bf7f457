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

All times are the database's clock, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, or_, select, update

from shared.core.retries import jittered
from shared.core.states import EXPECTED_UPLOADS, LEFT, JobState, WorkState
from shared.database.sessions import Database
from shared.database.tables import clip, job, shard, unit, upload
from shared.jobs import webhooks
from shared.jobs.doorbell import CLASSIFY, UNPACK, Bell, queue_of

# What a sweep rings at most, so that a tick stays short whatever waits.
SWEEP_LIMIT = 1000
# The pause after the first failure of something outside, and the longest.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# Given back that often, some ten minutes, before an object that the store does not find counts as lost.
RETURNS_UNTIL_LOST = 20


class LeaseLost(Exception):
    """Another worker has this work now, or its job no longer runs: drop everything."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one row of `upload` or `unit`, as long as `attempts` is still the row's."""

    table: Table
    id: int
    job_id: int
    attempts: int
    returns: int  # earlier leases of this row that were given back
    crashes: int


def _job_runs(table: Table) -> ColumnElement[bool]:
    return exists().where(job.c.id == table.c.job_id, job.c.state == JobState.RUNNING)


def _is_due(database: Database, table: Table) -> ColumnElement[bool]:
    return or_(table.c.not_before.is_(None), table.c.not_before < database.clock)


def take(database: Database, table: Table, row_id: int, lease_s: float) -> Lease | None:
    """Lease a row for `lease_s` seconds; None when there is nothing to do on it, or not yet."""
    expired = and_(table.c.state == WorkState.LEASED, table.c.lease_until < database.clock)
    statement = (
        update(table)
        .where(table.c.id == row_id, _job_runs(table))
        .where(or_(and_(table.c.state == WorkState.PENDING, _is_due(database, table)), expired))
        .values(state=WorkState.LEASED, lease_until=database.clock + lease_s, attempts=table.c.attempts + 1)
        .returning(table.c.job_id, table.c.attempts, table.c.returns, table.c.crashes)
    )
    row = database.write_again(lambda connection: connection.execute(statement).one_or_none())
    return None if row is None else Lease(table, row_id, *row)


def renew(database: Database, lease: Lease, lease_s: float) -> None:
    """Hold the lease for another `lease_s` seconds, or raise `LeaseLost`."""
    until = database.clock + lease_s
    database.write_again(lambda connection: fence(connection, lease, lease_until=until))


def fence(connection: Connection, lease: Lease, *conditions: ColumnElement[bool], **values: Any) -> None:
    """Set `values` on the leased row, if it is still ours and its job runs; else `LeaseLost`.

    First statement of every transaction in which a worker commits something. The job's row is locked
    for share, so that a cancel or a delete that comes now waits, and one that came before is seen.
    """
    running = select(job.c.id).where(job.c.id == lease.job_id, job.c.state == JobState.RUNNING)
    if connection.execute(running.with_for_update(read=True)).one_or_none() is None:
        raise LeaseLost
    table = lease.table
    ours = and_(table.c.id == lease.id, table.c.attempts == lease.attempts, table.c.state == WorkState.LEASED)
    if connection.execute(update(table).where(ours, *conditions).values(**values)).rowcount != 1:
        raise LeaseLost


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

    pause: nobody takes it for a while, longer each time (up to a minute); crashed: the work itself was at
    fault; kept(connection): what was done already, committed with it.
    """
    table = lease.table
    wait_s = jittered(FIRST_PAUSE_S, lease.returns, LONGEST_PAUSE_S) if pause else 0.0
    values = {
        "state": WorkState.PENDING,
        "lease_until": None,
        "rung_at": None,  # the next sweep that finds it due rings
        "not_before": database.clock + wait_s if pause else None,
        "returns": table.c.returns + 1,
        "crashes": table.c.crashes + int(crashed),
    }

    def work(connection: Connection) -> None:
        fence(connection, lease, **values)
        kept(connection)

    try:
        database.write_again(work)
    except LeaseLost:
        _release(database, lease)


def _release(database: Database, lease: Lease) -> None:
    """Whatever the job's state: nothing of the work is kept, and a bell is left to the sweep."""
    table = lease.table
    ours = and_(table.c.id == lease.id, table.c.attempts == lease.attempts, table.c.state == WorkState.LEASED)
    values = {
        "state": WorkState.PENDING,
        "lease_until": None,
        "rung_at": None,
        "returns": table.c.returns + 1,
    }
    database.write_again(lambda connection: connection.execute(update(table).where(ours).values(values)))


def record_crash(database: Database, table: Table, row_id: int) -> None:
    """A child was lost, or ended by the time limit, on this unit or upload."""
    statement = update(table).where(table.c.id == row_id, table.c.state.in_(LEFT))
    statement = statement.values(crashes=table.c.crashes + 1)
    database.write_again(lambda connection: connection.execute(statement))


def lock_job(connection: Connection, job_id: int) -> str | None:
    """Lock a job's row for this transaction and return its state; None when there is no such job."""
    statement = select(job.c.state).where(job.c.id == job_id).with_for_update()
    state: str | None = connection.execute(statement).scalar_one_or_none()
    return state


def close_job(database: Database, job_id: int) -> str | None:
    """End a running job that has nothing left to do; returns its state after that.

    `done`, or `failed` when not one clip was found in its uploads.
    """
    with database.write() as connection:
        state = lock_job(connection, job_id)
        if state != JobState.RUNNING or _has_work(connection, job_id):
            return state
        has_clips = connection.execute(select(exists().where(clip.c.job_id == job_id))).scalar_one()
        ended = JobState.DONE if has_clips else JobState.FAILED
        values = {"state": ended, "ended_at": database.clock}
        connection.execute(update(job).where(job.c.id == job_id).values(values))
        webhooks.owe(connection, database, job_id)
        return ended


def _has_work(connection: Connection, job_id: int) -> bool:
    waiting_upload = exists().where(upload.c.job_id == job_id, upload.c.state.in_(EXPECTED_UPLOADS))
    waiting_unit = exists().where(unit.c.job_id == job_id, unit.c.state.in_(LEFT))
    return bool(connection.execute(select(or_(waiting_upload, waiting_unit))).scalar_one())


def sweep(database: Database, ring_again_s: float, empty_queues: frozenset[str]) -> list[Bell]:
    """Find again what was lost; ring the returned bells after this call (it has committed by then).

    Expired leases become pending. Rows that are pending, whose pause is over, and that were not rung for
    `ring_again_s` seconds or whose queue is empty, are rung again. Jobs that have nothing left are closed.
    At most `SWEEP_LIMIT` rows of a kind; the next tick takes the others. Two sweeps at once do no harm.
    """
    bells: list[Bell] = []
    with database.write() as connection:
        for task, table in ((UNPACK, upload), (CLASSIFY, unit)):
            for small in (True, False):
                unheard = queue_of(task, small) in empty_queues
                rows = _lost(connection, database, table, small, ring_again_s, unheard)
                bells.extend(bells_for(connection, task, rows))
    for job_id in _endable_jobs(database):
        close_job(database, job_id)
    return bells


def _lost(
    connection: Connection, database: Database, table: Table, small: bool, ring_again_s: float, unheard: bool
) -> list[int]:
    now = database.clock
    expired = and_(table.c.state == WorkState.LEASED, table.c.lease_until < now)
    pending = and_(table.c.state == WorkState.PENDING, _is_due(database, table))
    if not unheard:
        pending = and_(pending, or_(table.c.rung_at.is_(None), table.c.rung_at < now - ring_again_s))
    of_jobs = exists().where(
        job.c.id == table.c.job_id, job.c.state == JobState.RUNNING, job.c.small == small
    )
    chosen = select(table.c.id).where(of_jobs, or_(expired, pending)).order_by(table.c.id).limit(SWEEP_LIMIT)
    if connection.dialect.name == "postgresql":
        chosen = chosen.with_for_update(skip_locked=True)
    ids = list(connection.execute(chosen).scalars())
    if ids:
        statement = update(table).where(table.c.id.in_(ids), or_(expired, table.c.state == WorkState.PENDING))
        values = {"state": WorkState.PENDING, "lease_until": None, "rung_at": now, "not_before": None}
        connection.execute(statement.values(values))
    return ids


def _endable_jobs(database: Database) -> list[int]:
    busy_upload = exists().where(upload.c.job_id == job.c.id, upload.c.state.in_(EXPECTED_UPLOADS))
    busy_unit = exists().where(unit.c.job_id == job.c.id, unit.c.state.in_(LEFT))
    with database.read() as connection:
        statement = select(job.c.id).where(job.c.state == JobState.RUNNING, ~busy_upload, ~busy_unit)
        return list(connection.execute(statement.limit(SWEEP_LIMIT)).scalars())


def bells_for(connection: Connection, task: str, ids: list[int]) -> list[Bell]:
    """The bells of these uploads or units, with the words that Flower shows."""
    if not ids:
        return []
    if task == UNPACK:
        uploads = (
            select(upload.c.id, upload.c.job_id, upload.c.name, job.c.small)
            .join(job, job.c.id == upload.c.job_id)
            .where(upload.c.id.in_(ids))
            .order_by(upload.c.id)
        )
        return [
            Bell(UNPACK, row.id, row.small, f"job {row.job_id} · upload {row.name}")
            for row in connection.execute(uploads)
        ]
    # How many shards a job has is known once none of its uploads waits any more.
    unpacked = ~exists().where(upload.c.job_id == job.c.id, upload.c.state.in_(LEFT))
    of = shard.alias("of")
    total = select(func.count()).where(of.c.job_id == unit.c.job_id).scalar_subquery()
    place = select(func.count()).where(of.c.job_id == unit.c.job_id, of.c.id <= shard.c.id).scalar_subquery()
    units = (
        select(unit.c.id, unit.c.job_id, job.c.small, unpacked.label("known"), total.label("total"),
               place.label("place"))
        .join(job, job.c.id == unit.c.job_id)
        .join(shard, shard.c.id == unit.c.shard_id)
        .where(unit.c.id.in_(ids))
        .order_by(unit.c.id)
    )  # fmt: skip
    return [
        Bell(
            CLASSIFY,
            row.id,
            row.small,
            f"job {row.job_id} · shard {row.place}" + (f" of {row.total}" if row.known else ""),
        )
        for row in connection.execute(units)
    ]
