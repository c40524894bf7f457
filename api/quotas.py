"""Quotas: how many unfinished jobs and stored bytes an API key may have. The machine's owner has none."""

from __future__ import annotations

from shared.core.errors.access import TooManyBytes, TooManyJobs
from shared.database import keys
from shared.database.sessions import Connection


def check_jobs(connection: Connection, key_id: int | None, most: int, more: int = 0) -> None:
    """Whether a key, already locked, may have the unfinished jobs that it has, and some more.

    Args:
        connection: of a write transaction.
        key_id: the key's number, or None.
        most: jobs that it may have.
        more: that it is about to have.

    Raises:
        TooManyJobs: those are over `most`.
    """
    if key_id is None:
        return
    count = keys.unfinished_jobs(connection, key_id)
    if count + more > most:
        raise TooManyJobs(count=min(count, most))


def check_bytes(connection: Connection, job_id: int, most: int, *, keeps_uploads: bool) -> None:
    """Whether the key that made a job may have the bytes that it has in the store; locks the key.

    Args:
        connection: of a write transaction.
        job_id: the job that has just got more of them.
        most: bytes that a key may have.
        keeps_uploads: whether uploads stay in the store once they are unpacked.

    Raises:
        TooManyBytes: those are over `most`.
    """
    key_id = keys.key_of_job(connection, job_id)
    if key_id is not None:
        keys.lock_key(connection, key_id)
        if keys.stored_bytes(connection, key_id, keeps_uploads=keeps_uploads) > most:
            raise TooManyBytes(limit_bytes=most)
