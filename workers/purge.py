"""Purge: what deletion, retention, and uploads that were given up leave to be removed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update

from shared.core.errors.uploads import UploadAbandoned
from shared.core.states import ENDED, JobState, UploadState
from shared.database.tables import job, shard, tombstone, upload
from shared.jobs import leases, lifecycle
from shared.store.names import job_prefix
from workers.services import Services

log = logging.getLogger(__name__)
DAY_S = 86_400.0
# The longest that an address given out for an upload is valid, and then some.
LONGEST_PRESIGNED_S = 7_200.0
UNREFERENCED_S = DAY_S


def purge(services: Services) -> str:
    """One tick; whatever is interrupted goes on at the next."""
    counts = {
        "abandoned": _fail_abandoned_uploads(services),
        "outdated": _mark_outdated_jobs(services),
        "erased": sum(_erase(services, row) for row in _deleted_jobs(services)),
        "swept": _sweep_tombstones(services),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def remove_unreferenced(services: Services) -> str:
    """Objects that nobody needs: of unpackers that lost their lease, or died beside their commit."""

    def needed(keys: list[str]) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [upload.c.object_key.in_(keys)]
        # An unpacker that dies right after its last commit leaves the upload behind.
        return (
            conditions
            if services.settings.keep_uploads
            else [*conditions, upload.c.state != UploadState.DONE]
        )

    removed = 0
    for keys in services.storage.older_than("jobs/", UNREFERENCED_S):
        with services.database.read() as connection:
            known = set(
                connection.execute(select(shard.c.object_key).where(shard.c.object_key.in_(keys))).scalars()
            ) | set(connection.execute(select(upload.c.object_key).where(*needed(keys))).scalars())
        for key in set(keys) - known:
            services.storage.delete(key)
            removed += 1
    aborted = services.storage.abort_parts_older_than("jobs/", UNREFERENCED_S)
    return f"{removed} objects and {aborted} unfinished uploads removed"


def _fail_abandoned_uploads(services: Services) -> int:
    """Uploads that received nothing for an hour; the job can then be started without them."""
    database, limit_s = services.database, services.settings.upload_abandoned_s
    abandoned = upload.c.state == UploadState.RECEIVING, upload.c.touched_at < database.clock - limit_s
    with database.write() as connection:
        rows = connection.execute(select(upload.c.id, upload.c.job_id, upload.c.name).where(*abandoned)).all()
        for row in rows:
            error = UploadAbandoned(name=row.name, minutes=round(limit_s / 60))
            values = {"state": UploadState.FAILED, "error_code": error.code, "error": str(error)}
            connection.execute(update(upload).where(upload.c.id == row.id, *abandoned).values(values))
    for row in rows:
        _abort(services, row.id)
        leases.close_job(database, row.job_id)
    return len(rows)


def _abort(services: Services, upload_id: int) -> None:
    with services.database.read() as connection:
        row = connection.execute(select(upload).where(upload.c.id == upload_id)).one()
    if row.multipart_id is not None:
        services.storage.abort_parts(row.object_key, row.multipart_id)


def _mark_outdated_jobs(services: Services) -> int:
    days = services.settings.retention_days
    if days is None:
        return 0
    ended = job.c.state.in_(ENDED), job.c.ended_at < services.database.clock - days * DAY_S
    with services.database.write() as connection:
        return connection.execute(update(job).where(*ended).values(state=JobState.DELETING)).rowcount


def _deleted_jobs(services: Services) -> Sequence[Any]:
    with services.database.read() as connection:
        return connection.execute(select(job.c.id, job.c.key).where(job.c.state == JobState.DELETING)).all()


def _erase(services: Services, row: Any) -> bool:
    """All of a deleted job, unless somebody still works for it: then a later tick does it."""
    with services.database.read() as connection:
        if lifecycle.holds_leases(connection, services.database, row.id):
            return False
        receiving = select(upload.c.id).where(upload.c.job_id == row.id, upload.c.multipart_id.is_not(None))
        unfinished = list(
            connection.execute(receiving.where(upload.c.state == UploadState.RECEIVING)).scalars()
        )
    for upload_id in unfinished:
        _abort(services, upload_id)
    services.storage.delete_prefix(job_prefix(row.key))
    lifecycle.erase(services.database, row.id, job_prefix(row.key), LONGEST_PRESIGNED_S)
    return True


def _sweep_tombstones(services: Services) -> int:
    """What came into a deleted job's prefix after its removal: by an address that was still valid."""
    with services.database.read() as connection:
        due = tombstone.c.sweep_after < services.database.clock
        rows = connection.execute(select(tombstone.c.id, tombstone.c.prefix).where(due)).all()
    for row in rows:
        services.storage.delete_prefix(row.prefix)
        with services.database.write() as connection:
            connection.execute(delete(tombstone).where(tombstone.c.id == row.id))
    return len(rows)
