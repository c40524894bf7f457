"""The work of a job as rows that are leased: uploads to unpack, units to classify.

`shared.jobs.leases` is the protocol that is made of these statements. Both tables have the same columns for
it: state, attempts, lease_until, rung_at, not_before, returns, crashes.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Table, and_, case, exists, or_, select, update

from shared.core.states import LEFT, JobState, Outcome, UploadState, WorkState
from shared.database import jobs
from shared.database.leasing import LeaseLost, change_leased, take_lease
from shared.database.sessions import Database
from shared.database.tables import job, prediction, shard, unit, upload

# `upload` or `unit`.
LeasedTable: TypeAlias = Table


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one row of `upload` or `unit`, as long as `attempts` is still the row's."""

    table: LeasedTable
    id: int
    job_id: int
    attempts: int
    returns: int  # earlier leases of this row that were given back
    crashes: int

    def holds(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """What a statement asks of the row, beside its attempts."""
        return self.table.c.id == self.id, self.table.c.state == WorkState.LEASED


def _is_due(database: Database, table: LeasedTable) -> ColumnElement[bool]:
    return or_(table.c.not_before.is_(None), table.c.not_before < database.clock)


def lease(
    connection: Connection, database: Database, table: LeasedTable, row_id: int, lease_s: float
) -> Lease | None:
    """Lease a row of a running job that is pending and due, or whose lease has run out."""
    expired = and_(table.c.state == WorkState.LEASED, table.c.lease_until < database.clock)
    available = or_(and_(table.c.state == WorkState.PENDING, _is_due(database, table)), expired)
    row = take_lease(
        connection,
        database,
        table,
        table.c.id == row_id,
        jobs.runs(table),
        available,
        lease_s=lease_s,
        returning=[table.c.job_id, table.c.attempts, table.c.returns, table.c.crashes],
        state=WorkState.LEASED,
    )
    if row is None:
        return None
    return Lease(table, row_id, row.job_id, row.attempts, row.returns, row.crashes)


def fence(connection: Connection, lease: Lease, *conditions: ColumnElement[bool], **values: Any) -> None:
    """Set `values` on the leased row, if it is still ours and its job runs.

    First statement of every transaction in which a worker commits something.

    Raises:
        LeaseLost: another has it, its job no longer runs, or a further condition does not hold.
    """
    if not jobs.lock_running_job(connection, lease.job_id):
        raise LeaseLost
    change_leased(connection, lease.table, lease.attempts, *lease.holds(), *conditions, **values)


def fence_progress(
    connection: Connection,
    database: Database,
    lease: Lease,
    *,
    committed: int,
    next_member: int,
    lease_s: float,
    bytes_read: int,
    shards: int,
    clips: int,
    failed: int,
) -> None:
    """Write how far an upload is, if it is still ours and stands where we left it; hold the lease on.

    Args:
        connection: of a write transaction, of which this is the first statement.
        database: its clock says until when the lease holds.
        lease: of the upload. One that has run out is not held on: its upload may be swept at any moment.
        committed: the next member as we committed it last. Tried again, because the answer was lost, this
            finds that it moved, and nothing is inserted twice.
        next_member: from where unpack goes on.
        lease_s: seconds from now.
        bytes_read: of the upload so far.
        shards: how many more there are, as of the next two.
        clips: found, with those that failed.
        failed: of them, those that could not be taken out.

    Raises:
        LeaseLost: as `fence`.
    """
    fence(
        connection,
        lease,
        upload.c.lease_until > database.clock,
        upload.c.next_member == committed,
        next_member=next_member,
        lease_until=database.clock + lease_s,
        bytes_read=bytes_read,
        shards=upload.c.shards + shards,
        clips=upload.c.clips + clips,
        failed=upload.c.failed + failed,
        crashes=0,
    )


def fence_duplicates(connection: Connection, lease: Lease, duplicates: int, **end: Any) -> None:
    """Count an upload's duplicates, and set what ends it, behind `fence_progress`.

    Raises:
        LeaseLost: as `fence`.
    """
    fence(connection, lease, duplicates=upload.c.duplicates + duplicates, **end)


def release(connection: Connection, lease: Lease) -> None:
    """Give the row back whatever its job's state, if it is still ours; a bell is left to the sweep."""
    table = lease.table
    values = {
        "state": WorkState.PENDING,
        "lease_until": None,
        "rung_at": None,
        "returns": table.c.returns + 1,
    }
    with suppress(LeaseLost):
        change_leased(connection, table, lease.attempts, *lease.holds(), **values)


def returned(
    database: Database, table: LeasedTable, *, pause_s: float | None, crashed: bool = False
) -> dict[str, Any]:
    """The columns of a row that a worker gives back: another may take it, after `pause_s` seconds if any."""
    return {
        "state": WorkState.PENDING,
        "lease_until": None,
        "rung_at": None,  # the next sweep that finds it due rings
        "not_before": None if pause_s is None else database.clock + pause_s,
        "returns": table.c.returns + 1,
        "crashes": table.c.crashes + int(crashed),
    }


def count_crash(connection: Connection, table: LeasedTable, row_id: int) -> None:
    """One more process was lost on this upload or unit."""
    unfinished = table.c.id == row_id, table.c.state.in_(LEFT)
    connection.execute(update(table).where(*unfinished).values(crashes=table.c.crashes + 1))


def find_lost(
    connection: Connection,
    database: Database,
    table: LeasedTable,
    *,
    small: bool,
    ring_again_s: float | None,
    limit: int,
) -> list[int]:
    """Rows that nobody works on, made pending and noted as rung now; their ids.

    Args:
        connection: of a write transaction.
        database: its clock says what has run out.
        table: `upload` or `unit`.
        small: of jobs in the queues of small jobs, or of the others.
        ring_again_s: rows that were rung for less than so many seconds ago are left out; None: none is.
        limit: the most rows.
    """
    now = database.clock
    expired = and_(table.c.state == WorkState.LEASED, table.c.lease_until < now)
    pending = and_(table.c.state == WorkState.PENDING, _is_due(database, table))
    if ring_again_s is not None:
        pending = and_(pending, or_(table.c.rung_at.is_(None), table.c.rung_at < now - ring_again_s))
    of_jobs = exists().where(
        job.c.id == table.c.job_id, job.c.state == JobState.RUNNING, job.c.small == small
    )
    chosen = select(table.c.id).where(of_jobs, or_(expired, pending)).order_by(table.c.id).limit(limit)
    if connection.dialect.name == "postgresql":
        chosen = chosen.with_for_update(skip_locked=True)
    ids = list(connection.execute(chosen).scalars())
    if ids:
        statement = update(table).where(table.c.id.in_(ids), or_(expired, table.c.state == WorkState.PENDING))
        values = {"state": WorkState.PENDING, "lease_until": None, "rung_at": now, "not_before": None}
        connection.execute(statement.values(values))
    return ids


def holds_lease(connection: Connection, database: Database, job_id: int) -> bool:
    """Whether somebody may still be working for the job, and so write to its prefix in the store."""
    held = (
        exists().where(
            table.c.job_id == job_id,
            table.c.state == WorkState.LEASED,
            table.c.lease_until > database.clock,
        )
        for table in (upload, unit)
    )
    return bool(connection.execute(select(or_(*held))).scalar_one())


def is_leased_since(connection: Connection, table: LeasedTable, until: float) -> bool:
    """Whether a lease of any job holds until this moment or longer."""
    held = exists().where(table.c.state == WorkState.LEASED, table.c.lease_until >= until)
    return bool(connection.execute(select(held)).scalar_one())


def add_units(connection: Connection, database: Database, job_id: int, model_version: str) -> None:
    """A pending unit of this version for each shard of the job that has none."""
    shards = list(connection.execute(select(shard.c.id).where(shard.c.job_id == job_id)).scalars())
    common = {"job_id": job_id, "model_version": model_version, "state": WorkState.PENDING}
    if shards:
        rows = [common | {"shard_id": shard_id} for shard_id in shards]
        connection.execute(database.insert(unit).on_conflict_do_nothing(), rows)


def units_to_retry(connection: Connection, database: Database, job_id: int) -> list[int]:
    """Units of an ended job that are not done, or have failed clips, made pending; their ids."""
    units = select(unit.c.id).where(unit.c.job_id == job_id)
    failed = prediction.c.unit_id.in_(units), prediction.c.outcome == Outcome.FAILED
    again = select(prediction.c.unit_id).where(*failed)
    affected = unit.c.job_id == job_id, or_(unit.c.state != WorkState.DONE, unit.c.id.in_(again))
    return _set_pending(connection, database, unit, *affected, crashes=0, failed=0)


def uploads_to_retry(
    connection: Connection, database: Database, job_id: int, in_store: Collection[int]
) -> list[int]:
    """Uploads of an ended job that are not done, made pending; their ids.

    Args:
        connection: of a write transaction.
        database: its clock says when they were rung for.
        job_id: the job's.
        in_store: those that failed and can be read again, since their objects are still there.
    """
    failed = and_(upload.c.state == UploadState.FAILED, upload.c.id.in_(in_store))
    affected = upload.c.job_id == job_id, or_(upload.c.state.in_(LEFT), failed)
    return _set_pending(connection, database, upload, *affected, crashes=0, error_code=None, error=None)


def left_to_do(connection: Connection, database: Database, table: LeasedTable, job_id: int) -> list[int]:
    """Rows of an ended job that were not finished, made pending; their ids."""
    return _set_pending(connection, database, table, table.c.job_id == job_id, table.c.state.in_(LEFT))


def _set_pending(
    connection: Connection,
    database: Database,
    table: LeasedTable,
    *chosen: ColumnElement[bool],
    **fresh: object,
) -> list[int]:
    """Have rows of a job that does not run waited for, and take their leases away; returns their ids.

    A worker that still holds such a lease, since it has not met its fence yet, meets it then: no lease of
    these `attempts` will be again.
    """
    ids = list(connection.execute(select(table.c.id).where(*chosen)).scalars())
    values = {
        "state": WorkState.PENDING,
        "lease_until": None,
        "rung_at": database.clock,
        "not_before": None,
        # As given back: that its job ended is no evidence against the work.
        "returns": table.c.returns + case((table.c.state == WorkState.LEASED, 1), else_=0),
    }
    connection.execute(update(table).where(*chosen).values(values | fresh))
    return ids
