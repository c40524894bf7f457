"""Purge: what deletion, retention, and uploads that were given up leave to be removed."""

from __future__ import annotations

import logging

from shared.core.errors.uploads import UploadAbandoned
from shared.database import deletion, jobs, uploads, work
from shared.database.jobs import JobRow
from shared.database.uploads import UploadRow
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
        "erased": _erase_deleted_jobs(services),
        "swept": _sweep_tombstones(services),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def remove_unreferenced(services: Services) -> str:
    """Objects that nobody needs: of unpackers that lost their lease, or died beside their commit."""
    removed = 0
    for keys in services.storage.older_than("jobs/", UNREFERENCED_S):
        with services.database.read() as connection:
            needed = deletion.needed_objects(connection, keys, keeps_uploads=services.settings.keep_uploads)
        for key in set(keys) - needed:
            services.storage.delete(key)
            removed += 1
    aborted = services.storage.abort_parts_older_than("jobs/", UNREFERENCED_S)
    return f"{removed} objects and {aborted} unfinished uploads removed"


def _fail_abandoned_uploads(services: Services) -> int:
    """Uploads that received nothing for an hour; the job can then be started without them."""
    limit_s = services.settings.upload_abandoned_s
    with services.database.write() as connection:
        rows = uploads.abandoned_uploads(connection, services.database, limit_s)
        for row in rows:
            error = UploadAbandoned(name=row.name, minutes=round(limit_s / 60))
            uploads.fail_receiving(connection, row.id, error.code, str(error))
    for row in rows:
        _abort(services, row)
        leases.close_job(services.database, row.job_id)
    return len(rows)


def _abort(services: Services, row: UploadRow) -> None:
    if row.multipart_id is not None:
        services.storage.abort_parts(row.object_key, row.multipart_id)


def _mark_outdated_jobs(services: Services) -> int:
    days = services.settings.retention_days
    if days is None:
        return 0
    with services.database.write() as connection:
        return jobs.mark_outdated_jobs(connection, services.database, days * DAY_S)


def _erase_deleted_jobs(services: Services) -> int:
    with services.database.read() as connection:
        deleted = jobs.deleted_jobs(connection)
    return sum(_erase(services, row) for row in deleted)


def _erase(services: Services, row: JobRow) -> bool:
    """All of a deleted job, unless somebody still works for it: then a later tick does it."""
    with services.database.read() as connection:
        if work.holds_lease(connection, services.database, row.id):
            return False
        unfinished = uploads.receiving_uploads(connection, row.id)
    for upload in unfinished:
        _abort(services, upload)
    services.storage.delete_prefix(job_prefix(row.key))
    lifecycle.erase(services.database, row.id, job_prefix(row.key), LONGEST_PRESIGNED_S)
    return True


def _sweep_tombstones(services: Services) -> int:
    """What came into a deleted job's prefix after its removal: by an address that was still valid."""
    with services.database.read() as connection:
        tombstones = deletion.due_tombstones(connection, services.database)
    for one in tombstones:
        services.storage.delete_prefix(one.prefix)
        with services.database.write() as connection:
            deletion.delete_tombstone(connection, one.id)
    return len(tombstones)
