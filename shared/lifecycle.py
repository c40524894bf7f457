"""What people may do to a job besides starting it: cancel, retry, delete. And what deletion removes.

Each transition locks the job's row first and tests its state in a second statement (see shared.leases).
Cancel keeps what is done: leases are refused from then on, and what is under way fails at its fence.
Delete only says so; `erase` (workers/purge.py) does it, once no lease holds any more.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, or_, select, tuple_, update

from shared import leases, webhooks
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
from shared.doorbell import CLASSIFY, UNPACK, Bell
from shared.errors.requests import UnknownJob, WrongJobState

# Rows removed in one transaction: others wait for SQLite's one writer meanwhile (about 30 ms).
ERASE_ROWS = 5_000
CANCELLABLE = ("open", "running")
RETRIABLE = ("done", "failed", "cancelled")


def _lock(connection: Connection, job_id: int, action: str, allowed: Collection[str]) -> None:
    state = leases.lock_job(connection, job_id)
    if state is None:
        raise UnknownJob(job=job_id)
    if state not in allowed:
        raise WrongJobState(job=job_id, state=state, action=action, allowed=" or ".join(allowed))


def cancel(database: Database, job_id: int) -> None:
    """Stop a job. What has an outcome keeps it; the rest keeps its place, for `retry`."""
    with database.write() as connection:
        _lock(connection, job_id, "cancelled", CANCELLABLE)
        values = {"state": "cancelled", "ended_at": database.clock}
        connection.execute(update(job).where(job.c.id == job_id).values(values))
        webhooks.owe(connection, database, job_id)


def retry(database: Database, job_id: int, uploads_in_store: Collection[int]) -> list[Bell]:
    """Run a job's failed and interrupted clips again; ring the returned bells after this call.

    `uploads_in_store`: failed uploads whose object is still there. `attempts` never goes back: it fences.
    """
    with database.write() as connection:
        _lock(connection, job_id, "retried", RETRIABLE)
        units = select(unit.c.id).where(unit.c.job_id == job_id)
        failed = delete(prediction).where(prediction.c.unit_id.in_(units), prediction.c.outcome == "failed")
        again = select(prediction.c.unit_id).where(
            prediction.c.unit_id.in_(units), prediction.c.outcome == "failed"
        )
        affected = unit.c.job_id == job_id, or_(unit.c.state != "done", unit.c.id.in_(again))
        unit_ids = list(connection.execute(select(unit.c.id).where(*affected)).scalars())
        now = database.clock
        pending = {"state": "pending", "lease_until": None, "rung_at": now, "not_before": None, "crashes": 0}
        connection.execute(update(unit).where(*affected).values(pending))
        connection.execute(delete(clip_try).where(clip_try.c.unit_id.in_(units)))
        connection.execute(failed)
        unfinished = (
            upload.c.job_id == job_id,
            or_(
                upload.c.state.in_(("pending", "leased")),
                (upload.c.state == "failed") & upload.c.id.in_(uploads_in_store),
            ),
        )
        upload_ids = list(connection.execute(select(upload.c.id).where(*unfinished)).scalars())
        fresh = pending | {"error_code": None, "error": None}
        connection.execute(update(upload).where(*unfinished).values(fresh))
        running = {"state": "running", "ended_at": None}
        connection.execute(update(job).where(job.c.id == job_id).values(running))
        return leases.bells_for(connection, UNPACK, upload_ids) + leases.bells_for(
            connection, CLASSIFY, unit_ids[: leases.SWEEP_LIMIT]
        )


def reclassify(database: Database, job_id: int, model_version: str) -> list[Bell]:
    """Classify an ended job's clips under another version too; ring the returned bells after this call."""
    with database.write() as connection:
        _lock(connection, job_id, "reclassified", RETRIABLE)
        shards = list(connection.execute(select(shard.c.id).where(shard.c.job_id == job_id)).scalars())
        common = {"job_id": job_id, "model_version": model_version, "state": "pending"}
        if shards:
            rows = [common | {"shard_id": shard_id} for shard_id in shards]
            connection.execute(database.insert(unit).on_conflict_do_nothing(), rows)
        running = {"state": "running", "ended_at": None}
        connection.execute(update(job).where(job.c.id == job_id).values(running))
        version = unit.c.job_id == job_id, unit.c.model_version == model_version
        pending = select(unit.c.id).where(*version, unit.c.state == "pending")
        ids = list(connection.execute(pending).scalars())
        return leases.bells_for(connection, CLASSIFY, ids[: leases.SWEEP_LIMIT])


def mark_deleted(database: Database, job_id: int) -> None:
    """From now on nothing is leased or committed for the job; a second call changes nothing."""
    with database.write() as connection:
        if leases.lock_job(connection, job_id) is None:
            raise UnknownJob(job=job_id)
        connection.execute(update(job).where(job.c.id == job_id).values(state="deleting"))


def holds_leases(connection: Connection, database: Database, job_id: int) -> bool:
    """Whether somebody may still be working for the job, and so write to its prefix."""
    return any(
        connection.execute(
            select(table.c.id)
            .where(table.c.job_id == job_id, table.c.state == "leased", table.c.lease_until > database.clock)
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
