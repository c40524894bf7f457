"""Jobs: create, start, look at one or all."""

from __future__ import annotations

import hashlib
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Header, Query, Response

from api import quotas
from api.access import Caller, Follower, OwnJob, Reader, Submitter
from api.models import aliases
from api.services import Services, Wired
from shared import archives
from shared.audio.windows import Windows
from shared.core.errors.requests import (
    JobNotOpen,
    JobWithoutUploads,
    KeyUsedAgain,
    UnknownJob,
    UploadUnfinished,
)
from shared.core.settings import MEBIBYTE
from shared.core.states import JobState, UploadState
from shared.database import jobs, keys, uploads
from shared.database.jobs import JobRow, NewJob
from shared.database.sessions import Connection
from shared.database.webhooks import insert_webhook
from shared.jobs import leases, webhooks
from shared.jobs.doorbell import UNPACK, Bell
from shared.jobs.status import documents
from shared.models.serving import registry, version_pins
from shared.store.names import StoredObject
from voxmood.documents import JobDocument, JobPage, JobRequest

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
# Jobs under this total take the small queues, which no big job ever fills.
SMALL_BYTES = 32 * MEBIBYTE


@router.post("", status_code=201)
def create_job(
    request: JobRequest,
    services: Wired,
    caller: Submitter,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> JobDocument:
    """Create an open job. Then PUT its uploads, then start it.

    The same Idempotency-Key with the same body answers with the job that the first request made.
    """
    version = aliases(services).get(request.model, request.model)
    manifest = registry.read_manifest(services.settings.model_folders, version)
    version_pins.confirm(services.database, manifest)
    windows = Windows(request.windows, request.win_s, request.hop_s, request.channels)
    windows.check(manifest.feature_spec, version)
    private = services.settings.webhooks_reach_private
    if request.webhook is not None:
        webhooks.check(request.webhook, private)
    encoding = None if request.encoding is None else archives.checked_encoding(request.encoding)
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    new = NewJob(
        key=uuid4().hex,
        name=request.name,
        model_version=version,
        threshold=request.threshold,
        windows=windows,
        encoding=encoding,
        key_id=caller.key_id,
        idempotency_key=idempotency_key,
        idempotency_digest=digest if idempotency_key else None,
    )
    with services.database.write() as connection:
        if caller.key_id is not None:
            keys.lock_key(connection, caller.key_id)
        job_id = jobs.insert_job(connection, services.database, new)
        if job_id is None:
            before = jobs.job_of_request(connection, idempotency_key, caller.key_id)
            if before.idempotency_digest != digest:
                raise KeyUsedAgain(key=idempotency_key)
            job_id = before.id
        else:
            if request.webhook is not None:
                insert_webhook(connection, job_id, request.webhook, private)
            quotas.check_jobs(connection, caller.key_id, services.settings.key_max_jobs)
        response.headers["Location"] = jobs_path(job_id)
        return documents(connection, services.database, [find(connection, job_id)])[0]


@router.get("")
def list_jobs(
    services: Wired,
    caller: Reader,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> JobPage:
    """Jobs, the newest first, by pages."""
    with services.database.read() as connection:
        rows = jobs.jobs_page(connection, before, limit, caller.only)
        found = documents(connection, services.database, rows)
    return JobPage(jobs=found, next=rows[-1].id if len(rows) == limit else None)


@router.get("/{job_id}")
def show_job(job_id: OwnJob, services: Wired, _: Follower) -> JobDocument:
    """One job: state, counts, rate, time left."""
    return document(services, job_id)


@router.post("/{job_id}/start")
def start_job(job_id: OwnJob, services: Wired, _: Submitter) -> JobDocument:
    """Seal the uploads and start the work."""
    _confirm_arrived(services, job_id)
    with services.database.write() as connection:
        lock_open_job(connection, job_id)
        bells = _seal(connection, services, job_id)
        started = documents(connection, services.database, [find(connection, job_id)])[0]
    services.ring(bells)
    return started


def _confirm_arrived(services: Services, job_id: int) -> None:
    """Uploads that are whole in the store without our having seen their end.

    They came by a form, straight to the store; or this process died between the store's word and its own.
    """
    with services.database.read() as connection:
        rows = uploads.receiving_uploads(connection, job_id)
    for row in rows:
        if size := services.storage.size(StoredObject(row.object_key)):
            with services.database.write() as connection:
                lock_open_job(connection, job_id)
                uploads.mark_arrived(connection, row.id, size)
                services.check_stored_bytes(connection, job_id)


def _seal(connection: Connection, services: Services, job_id: int) -> list[Bell]:
    rows = uploads.uploads_of(connection, [job_id])
    if not rows:
        raise JobWithoutUploads(job=job_id)
    for row in rows:
        if row.state == UploadState.RECEIVING:
            raise UploadUnfinished(job=job_id, name=row.name, received=row.bytes)
    small = sum(row.bytes for row in rows) < SMALL_BYTES
    jobs.start_job(connection, services.database, job_id, small=small)
    return leases.bells_for(connection, UNPACK, uploads.seal_uploads(connection, services.database, job_id))


def lock_open_job(connection: Connection, job_id: int) -> None:
    """Lock the job's row for this transaction; UnknownJob, or JobNotOpen, where nothing can be added."""
    state = jobs.lock_job(connection, job_id)
    if state is None:
        raise UnknownJob(job=job_id)
    if state != JobState.OPEN:
        raise JobNotOpen(job=job_id, state=state)


def check_room_for_job(services: Services, caller: Caller) -> None:
    """TooManyJobs where the caller's key may have no further running job."""
    if caller.key_id is not None:
        with services.database.write() as connection:
            keys.lock_key(connection, caller.key_id)
            quotas.check_jobs(connection, caller.key_id, services.settings.key_max_jobs, more=1)


def jobs_path(job_id: int) -> str:
    """Where a job is."""
    return f"{router.prefix}/{job_id}"


def document(services: Services, job_id: int) -> JobDocument:
    """The job's document as it stands."""
    with services.database.read() as connection:
        return documents(connection, services.database, [find(connection, job_id)])[0]


def find(connection: Connection, job_id: int) -> JobRow:
    """The job's row, or UnknownJob."""
    row = jobs.job_row(connection, job_id)
    if row is None:
        raise UnknownJob(job=job_id)
    return row
