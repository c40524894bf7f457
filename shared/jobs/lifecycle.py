"""What people may do to a job besides starting it: cancel, retry, delete. And what deletion removes.

Each transition locks the job's row first and tests its state in a second statement (see shared.jobs.leases).
Cancel keeps what is done: leases are refused from then on, and what is under way fails at its fence and is
given back. Retry and reclassify take away the leases that are left: of workers that have not met their fence
yet, or have died.
Delete only says so; `erase` (workers/purge.py) does it, once no lease holds any more.
"""

from __future__ import annotations

from collections.abc import Collection

from shared.core.errors.requests import UnknownJob, WrongJobState
from shared.core.states import ENDED, UNFINISHED, JobState
from shared.database import deletion, jobs, predictions, work
from shared.database.sessions import Connection, Database
from shared.database.tables import unit, upload
from shared.jobs import leases, status, webhooks
from shared.jobs.doorbell import CLASSIFY, UNPACK, Bell


def _lock(connection: Connection, job_id: int, action: str, allowed: Collection[JobState]) -> None:
    state = jobs.lock_job(connection, job_id)
    if state is None:
        raise UnknownJob(job=job_id)
    if state not in allowed:
        raise WrongJobState(job=job_id, state=state, action=action, allowed=" or ".join(allowed))


def cancel(database: Database, job_id: int) -> None:
    """Stop a job. What has an outcome keeps it; the rest keeps its place, for `retry`."""
    with database.write() as connection:
        _lock(connection, job_id, "cancelled", UNFINISHED)
        jobs.end_job(connection, database, job_id, JobState.CANCELLED)
        webhooks.owe(connection, database, job_id)


def retry(database: Database, job_id: int, uploads_in_store: Collection[int]) -> list[Bell]:
    """Run a job's failed and interrupted clips again; ring the returned bells after this call.

    Args:
        database: where the job is.
        job_id: its id.
        uploads_in_store: failed uploads whose object is still there.

    Raises:
        UnknownJob, WrongJobState: there is no such job, or it has not ended.
    """
    with database.write() as connection:
        _lock(connection, job_id, "retried", ENDED)
        unit_ids = work.units_to_retry(connection, database, job_id)
        predictions.delete_failed_predictions(connection, job_id)
        upload_ids = work.uploads_to_retry(connection, database, job_id, uploads_in_store)
        return _run_again(connection, database, job_id, upload_ids, unit_ids)


def reclassify(database: Database, job_id: int, model_version: str) -> list[Bell]:
    """Classify an ended job's clips under another version too; ring the returned bells after this call.

    What a cancelled job has left goes on with it.

    Raises:
        UnknownJob, WrongJobState: there is no such job, or it has not ended.
    """
    with database.write() as connection:
        _lock(connection, job_id, "reclassified", ENDED)
        work.add_units(connection, database, job_id, model_version)
        upload_ids, unit_ids = (
            work.left_to_do(connection, database, table, job_id) for table in (upload, unit)
        )
        return _run_again(connection, database, job_id, upload_ids, unit_ids)


def _run_again(
    connection: Connection, database: Database, job_id: int, upload_ids: list[int], unit_ids: list[int]
) -> list[Bell]:
    jobs.run_job_again(connection, database, job_id, status.standing(connection, job_id))
    return leases.bells_for(connection, UNPACK, upload_ids) + leases.bells_for(
        connection, CLASSIFY, unit_ids[: leases.SWEEP_LIMIT]
    )


def mark_deleted(database: Database, job_id: int) -> None:
    """From now on nothing is leased or committed for the job; a second call changes nothing."""
    with database.write() as connection:
        if jobs.lock_job(connection, job_id) is None:
            raise UnknownJob(job=job_id)
        jobs.mark_job_deleted(connection, job_id)


def erase(database: Database, job_id: int, prefix: str, sweep_after_s: float) -> None:
    """Remove all rows of a deleted job, in batches; the job's own last, leaving a tombstone.

    Call it once the job's prefix in the store is empty. Killed in between, the next call goes on.

    Args:
        database: where the job is.
        job_id: its id.
        prefix: of its objects in the store.
        sweep_after_s: for so many seconds something may still come into that prefix.
    """
    deletion.erase_rows(database, job_id)
    with database.write() as connection:
        deletion.bury(connection, database, job_id, prefix, sweep_after_s)
