"""What ends a job early, runs it again, or removes it."""

from __future__ import annotations

import logging

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select

from api.access import OwnJob, Submitter
from api.jobs import check_room_for_job, document, find
from api.models import aliases
from api.services import Services, Wired
from api.strict import RequestModel
from shared.core.states import UploadState
from shared.database import queries
from shared.database.tables import upload
from shared.jobs import lifecycle
from shared.jobs.status import JobDocument
from shared.models.serving import registry, version_pins
from shared.store.names import StoredObject

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


class ReclassifyRequest(RequestModel):
    """Under which version."""

    model: str = Field(description="a model version, or an alias as `candidate`")


@router.post("/reclassify")
def reclassify_job(
    job_id: OwnJob, request: ReclassifyRequest, services: Wired, caller: Submitter
) -> JobDocument:
    """Classify an ended job's clips under another version too; the job's own version never moves."""
    version = aliases(services).get(request.model, request.model)
    manifest = registry.read_manifest(services.settings.model_folders, version)
    version_pins.confirm(services.database, manifest)
    with services.database.read() as connection:
        windows = queries.windows_of(find(connection, job_id))
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
        failed = select(upload.c.id, upload.c.object_key, upload.c.bucket).where(
            upload.c.job_id == job_id, upload.c.state == UploadState.FAILED
        )
        rows = connection.execute(failed).all()
    return [
        row.id for row in rows if services.storage.size(StoredObject(row.object_key, row.bucket)) is not None
    ]
