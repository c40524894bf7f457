"""What people may do to a job besides starting it: cancel, retry, delete. And what deletion removes.

Each transition locks the job's row first and tests its state in a second statement (see shared.jobs.leases).
Cancel keeps what is done: leases are refused from then on, and what is under way fails at its fence and is
given back. Retry and reclassify take away the leases that are left: of workers that have not met their fence
yet, or have died.
Delete only says so; `erase` (workers/purge.py) does it, once no lease holds any more.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, Table, case, delete, or_, select, tuple_, update

from shared.core.errors.requests import UnknownJob, WrongJobState
from shared.core.states import ENDED, LEFT, UNFINISHED, JobState, Outcome, UploadState, WorkState
from shared.database.sessions import Database
from shared.database.tables import (
    clip,
    clip_try,
    job,
    label,
    prediction,
    segment,
    shard,
    tombstone,
    unit,
    upload,
    upload_part,
    webhook,
)
from shared.jobs import leases, status, webhooks
from shared.jobs.doorbell import CLASSIFY, UNPACK, Bell

# Rows removed in one transaction: others wait for SQLite's one writer meanwhile (about 30 ms).
ERASE_ROWS = 5_000
# Of uploads and units whose job was cancelled.


def _lock(connection: Connection, job_id: int, action: str, allowed: Collection[str]) -> None:
    state = leases.lock_job(connection, job_id)
    if state is None:
        raise UnknownJob(job=job_id)
    if state not in allowed:
        raise WrongJobState(job=job_id, state=state, action=action, allowed=" or ".join(allowed))


def cancel(database: Database, job_id: int) -> None:
    """Stop a job. What has an outcome keeps it; the rest keeps its place, for `retry`."""
    with database.write() as connection:
        _lock(connection, job_id, "cancelled", UNFINISHED)
        values = {"state": JobState.CANCELLED, "ended_at": database.clock}
        connection.execute(update(job).where(job.c.id == job_id).values(values))
        webhooks.owe(connection, database, job_id)


def retry(database: Database, job_id: int, uploads_in_store: Collection[int]) -> list[Bell]:
    """Run a job's failed and interrupted clips again; ring the returned bells after this call.

    `uploads_in_store`: failed uploads whose object is still there. `attempts` never goes back: it fences.
    """
    with database.write() as connection:
        _lock(connection, job_id, "retried", ENDED)
        units = select(unit.c.id).where(unit.c.job_id == job_id)
        failed = delete(prediction).where(
            prediction.c.unit_id.in_(units), prediction.c.outcome == Outcome.FAILED
        )
        again = select(prediction.c.unit_id).where(
            prediction.c.unit_id.in_(units), prediction.c.outcome == Outcome.FAILED
        )
        affected = unit.c.job_id == job_id, or_(unit.c.state != WorkState.DONE, unit.c.id.in_(again))
        unit_ids = _set_pending(connection, database, unit, *affected, crashes=0, failed=0)
        connection.execute(delete(clip_try).where(clip_try.c.unit_id.in_(units)))
        connection.execute(failed)
        unfinished = or_(
            upload.c.state.in_(LEFT),
            (upload.c.state == UploadState.FAILED) & upload.c.id.in_(uploads_in_store),
        )
        fresh = {"crashes": 0, "error_code": None, "error": None}
        of_job = upload.c.job_id == job_id
        upload_ids = _set_pending(connection, database, upload, of_job, unfinished, **fresh)
        return _run_again(connection, database, job_id, upload_ids, unit_ids)


def reclassify(database: Database, job_id: int, model_version: str) -> list[Bell]:
    """Classify an ended job's clips under another version too; ring the returned bells after this call.

    What a cancelled job has left goes on with it.
    """
    with database.write() as connection:
        _lock(connection, job_id, "reclassified", ENDED)
        shards = list(connection.execute(select(shard.c.id).where(shard.c.job_id == job_id)).scalars())
        common = {"job_id": job_id, "model_version": model_version, "state": WorkState.PENDING}
        if shards:
            rows = [common | {"shard_id": shard_id} for shard_id in shards]
            connection.execute(database.insert(unit).on_conflict_do_nothing(), rows)
        upload_ids, unit_ids = (
            _set_pending(connection, database, table, table.c.job_id == job_id, table.c.state.in_(LEFT))
            for table in (upload, unit)
        )
        return _run_again(connection, database, job_id, upload_ids, unit_ids)


def _set_pending(
    connection: Connection, database: Database, table: Table, *chosen: ColumnElement[bool], **fresh: object
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


def _run_again(
    connection: Connection, database: Database, job_id: int, upload_ids: list[int], unit_ids: list[int]
) -> list[Bell]:
    running = {"state": JobState.RUNNING, "ended_at": None, "run_started_at": database.clock,
               "run_done": status.standing(connection, job_id)}  # fmt: skip
    connection.execute(update(job).where(job.c.id == job_id).values(running))
    return leases.bells_for(connection, UNPACK, upload_ids) + leases.bells_for(
        connection, CLASSIFY, unit_ids[: leases.SWEEP_LIMIT]
    )


def mark_deleted(database: Database, job_id: int) -> None:
    """From now on nothing is leased or committed for the job; a second call changes nothing."""
    with database.write() as connection:
        if leases.lock_job(connection, job_id) is None:
            raise UnknownJob(job=job_id)
        connection.execute(update(job).where(job.c.id == job_id).values(state=JobState.DELETING))


def holds_leases(connection: Connection, database: Database, job_id: int) -> bool:
    """Whether somebody may still be working for the job, and so write to its prefix."""
    return any(
        connection.execute(
            select(table.c.id)
            .where(
                table.c.job_id == job_id,
                table.c.state == WorkState.LEASED,
                table.c.lease_until > database.clock,
            )
            .limit(1)
        ).one_or_none()
        for table in (upload, unit)
    )


def erase(database: Database, job_id: int, prefix: str, sweep_after_s: float) -> None:
    """Remove all rows of a deleted job, in batches; the job's own last, leaving a tombstone.

    Call it once the job's prefix in the store is empty. Killed in between, the next call goes on.
    """
    of_job = clip.c.job_id == job_id
    clips = select(clip.c.id).where(of_job)
    units = select(unit.c.id).where(unit.c.job_id == job_id)
    uploads = select(upload.c.id).where(upload.c.job_id == job_id)
    for table, chosen in (
        (label, label.c.clip_id.in_(clips)),
        (segment, segment.c.clip_id.in_(clips)),
        (prediction, prediction.c.unit_id.in_(units)),
        (clip_try, clip_try.c.unit_id.in_(units)),
        (clip, of_job & clip.c.duplicate_of.is_not(None)),  # before the originals
        (clip, of_job),
        (unit, unit.c.job_id == job_id),
        (shard, shard.c.job_id == job_id),
        (upload_part, upload_part.c.upload_id.in_(uploads)),
        (upload, upload.c.job_id == job_id),
        (webhook, webhook.c.job_id == job_id),
    ):
        key = table.primary_key.columns
        some = select(*key).where(chosen).limit(ERASE_ROWS)
        removed = 1
        while removed:
            with database.write() as connection:
                removed = connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount
    with database.write() as connection:
        values = {"prefix": prefix, "sweep_after": database.clock + sweep_after_s}
        connection.execute(database.insert(tombstone).values(values).on_conflict_do_nothing())
        connection.execute(delete(job).where(job.c.id == job_id))
