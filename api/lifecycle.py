"""What ends a job early, runs it again, or removes it."""

from __future__ import annotations

import logging

from fastapi import APIRouter

from api.access import OwnJob, Submitter
from api.jobs import check_room_for_job, document, find
from api.models import aliases
from api.services import Services, Wired
from shared.database.uploads import failed_uploads
from shared.jobs import lifecycle
from shared.models.serving import registry, version_pins
from voxmood.documents import JobDocument, ReclassifyRequest

log = logging.getLogger(__name__)
router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])


@router.post("/cancel")
def cancel_job(job_id: OwnJob, services: Wired, _: Submitter) -> JobDocument:
    """Stop a job; what has an outcome keeps it, and `retry` goes on with the rest."""
    lifecycle.cancel(services.database, job_id)
    return document(services, job_id)


@router.post("/retry")
def retry_job(job_id: OwnJob, services: Wired, caller: Submitter) -> JobDocument:
    """Run the failed and the interrupted clips of an ended job again."""
    check_room_for_job(services, caller)
    bells = lifecycle.retry(services.database, job_id, _failed_uploads_in_store(services, job_id))
    services.ring(bells)
    return document(services, job_id)


@router.post("/reclassify")
def reclassify_job(
    job_id: OwnJob, request: ReclassifyRequest, services: Wired, caller: Submitter
) -> JobDocument:
    """Classify an ended job's clips under another version too; the job's own version never moves."""
    version = aliases(services).get(request.model, request.model)
    manifest = registry.read_manifest(services.settings.model_folders, version)
    version_pins.confirm(services.database, manifest)
    with services.database.read() as connection:
        windows = find(connection, job_id).windowing
    windows.check(manifest.feature_spec, version)
    check_room_for_job(services, caller)
    services.ring(lifecycle.reclassify(services.database, job_id, version))
    return document(services, job_id)


@router.delete("", status_code=202)
def delete_job(job_id: OwnJob, services: Wired, _: Submitter) -> JobDocument:
    """Remove a job with all that carries its id: rows, uploads, shards. It takes a moment: 404 then."""
    lifecycle.mark_deleted(services.database, job_id)
    deleted = document(services, job_id)
    services.ring_purge()
    return deleted


def _failed_uploads_in_store(services: Services, job_id: int) -> list[int]:
    with services.database.read() as connection:
        rows = failed_uploads(connection, job_id)
    return [row.id for row in rows if services.storage.size(row.stored) is not None]
