"""Jobs: create, start, look at one or all."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal
from uuid import uuid4

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping, insert, select, update

from api.access import Caller, Follower, OwnJob, Reader, Submitter
from api.models import CHAMPION, aliases
from api.services import Services, Wired
from api.strict import RequestModel
from shared import archives
from shared.audio.windows import MINIMUM_S, Windows
from shared.core.errors.requests import (
    JobNotOpen,
    JobWithoutUploads,
    KeyUsedAgain,
    UnknownJob,
    UploadUnfinished,
)
from shared.core.settings import MEBIBYTE
from shared.core.states import JobState, UploadState
from shared.database import keys, queries
from shared.database.tables import job, upload, webhook
from shared.jobs import leases, webhooks
from shared.jobs.doorbell import UNPACK, Bell
from shared.jobs.status import JobDocument, documents
from shared.models.serving import registry, version_pins
from shared.store.names import StoredObject

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
# Jobs under this total take the small queues, which no big job ever fills.
SMALL_BYTES = 32 * MEBIBYTE


class JobRequest(RequestModel):
    """What one may say of a job when creating it."""

    name: str | None = Field(default=None, max_length=1000, description="for people; need not be unique")
    model: str = Field(
        default=CHAMPION, description="a model version, or an alias as `champion` or `candidate`"
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="confidence below which a clip is rejected; else the version's"
    )
    windows: Literal["clip", "sliding"] = Field(
        default="clip",
        description="sliding: each window's outcome is kept as a segment; the clip's is their mean, weighted "
        "by the voice in each",
    )
    win_s: float | None = Field(
        default=None,
        ge=MINIMUM_S,
        allow_inf_nan=False,
        description="seconds of a sliding window; else as long as the version hears at once, the longest",
    )
    hop_s: float | None = Field(
        default=None,
        ge=MINIMUM_S,
        allow_inf_nan=False,
        description="seconds from one sliding window's beginning to the next one's; else half of a window",
    )
    channels: Literal["mix", "separate"] = Field(
        default="mix", description="separate: segments for each channel, the clip's outcome over all of them"
    )
    encoding: str | None = Field(
        default=None,
        max_length=100,
        description="of names in archives that are not UTF-8 and do not say what they are: `cp932`, `gbk`, …",
    )
    webhook: str | None = Field(
        default=None,
        max_length=2000,
        description="http or https address to which the job's document is POSTed when it has ended",
    )


class JobPage(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobDocument]
    next: int | None = Field(description="give as `before` for the next page; null: this is the last")


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
    values = {
        "key": uuid4().hex,
        "name": request.name,
        "state": JobState.OPEN,
        "model_version": version,
        "threshold": request.threshold,
        "windows": request.windows,
        "win_s": request.win_s,
        "hop_s": request.hop_s,
        "channels": request.channels,
        "encoding": encoding,
        "key_id": caller.key_id,
        "idempotency_key": idempotency_key,
        "idempotency_digest": digest if idempotency_key else None,
        "created_at": services.database.clock,
    }
    with services.database.write() as connection:
        if caller.key_id is not None:
            keys.lock(connection, caller.key_id)
        made = services.database.insert(job).values(values).on_conflict_do_nothing().returning(job.c.id)
        job_id = connection.execute(made).scalar_one_or_none()
        if job_id is None:
            same = (
                job.c.idempotency_key == idempotency_key,
                job.c.key_id.is_not_distinct_from(caller.key_id),
            )
            before = connection.execute(select(job.c.id, job.c.idempotency_digest).where(*same)).one()
            if before.idempotency_digest != digest:
                raise KeyUsedAgain(key=idempotency_key)
            job_id = before.id
        else:
            if request.webhook is not None:
                wanted = {"job_id": job_id, "url": request.webhook, "private": private}
                connection.execute(insert(webhook).values(wanted))
            keys.check_jobs(connection, caller.key_id, services.settings.key_max_jobs)
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
        rows = queries.jobs_page(connection, before, limit, caller.only)
        found = documents(connection, services.database, list(rows))
    return JobPage(jobs=found, next=rows[-1]["id"] if len(rows) == limit else None)


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
        uploads = queries.uploads_of(connection, [job_id])
    for row in uploads:
        if row["state"] == UploadState.RECEIVING and (
            size := services.storage.size(StoredObject(row["object_key"]))
        ):
            arrived = upload.c.id == row["id"], upload.c.state == UploadState.RECEIVING
            values = {"state": UploadState.PENDING, "bytes": size, "multipart_id": None}
            with services.database.write() as connection:
                lock_open_job(connection, job_id)
                connection.execute(update(upload).where(*arrived).values(values))
                services.check_stored_bytes(connection, job_id)


def _seal(connection: Connection, services: Services, job_id: int) -> list[Bell]:
    uploads = queries.uploads_of(connection, [job_id])
    if not uploads:
        raise JobWithoutUploads(job=job_id)
    for row in uploads:
        if row["state"] == UploadState.RECEIVING:
            raise UploadUnfinished(job=job_id, name=row["name"], received=row["bytes"])
    now = services.database.clock
    small = sum(row["bytes"] for row in uploads) < SMALL_BYTES
    connection.execute(
        update(job).where(job.c.id == job_id).values(state=JobState.RUNNING, started_at=now, small=small)
    )
    pending = upload.c.state == UploadState.PENDING
    connection.execute(update(upload).where(upload.c.job_id == job_id, pending).values(rung_at=now))
    ids = connection.execute(select(upload.c.id).where(upload.c.job_id == job_id, pending)).scalars()
    return leases.bells_for(connection, UNPACK, list(ids))


def lock_open_job(connection: Connection, job_id: int) -> None:
    """Lock the job's row for this transaction; UnknownJob, or JobNotOpen, where nothing can be added."""
    state = leases.lock_job(connection, job_id)
    if state is None:
        raise UnknownJob(job=job_id)
    if state != JobState.OPEN:
        raise JobNotOpen(job=job_id, state=state)


def check_room_for_job(services: Services, caller: Caller) -> None:
    """TooManyJobs where the caller's key may have no further running job."""
    if caller.key_id is not None:
        with services.database.write() as connection:
            keys.lock(connection, caller.key_id)
            keys.check_jobs(connection, caller.key_id, services.settings.key_max_jobs, more=1)


def jobs_path(job_id: int) -> str:
    """Where a job is."""
    return f"{router.prefix}/{job_id}"


def document(services: Services, job_id: int) -> JobDocument:
    """The job's document as it stands."""
    with services.database.read() as connection:
        return documents(connection, services.database, [find(connection, job_id)])[0]


def find(connection: Connection, job_id: int) -> RowMapping:
    """The job's row, or UnknownJob."""
    row = queries.job_row(connection, job_id)
    if row is None:
        raise UnknownJob(job=job_id)
    return row
