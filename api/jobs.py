"""Jobs: create, start, look at one or all."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping, select, update

from api.models import CHAMPION, aliases
from api.parts import Parts, Wired
from shared import leases
from shared.database import queries
from shared.database.tables import OUTCOMES, job, upload
from shared.doorbell import UNPACK, Bell
from shared.emotion import registry
from shared.errors.requests import JobNotOpen, JobWithoutUploads, KeyUsedAgain, UnknownJob, UploadUnfinished
from shared.settings import MEBIBYTE

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
# Jobs under this total take the small queues, which no big job ever fills.
SMALL_BYTES = 32 * MEBIBYTE
JobId = Annotated[int, Path(ge=1, le=2**63 - 1, description="the job's id")]


class JobRequest(BaseModel):
    """What one may say of a job when creating it."""

    name: str | None = Field(default=None, max_length=1000, description="for people; need not be unique")
    model: str = Field(
        default=CHAMPION, description="a model version, or an alias as `champion` or `candidate`"
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="confidence below which a clip is rejected; else the version's"
    )


class UploadDocument(BaseModel):
    """One upload of a job."""

    name: str
    state: Literal["receiving", "pending", "leased", "done", "failed"]
    bytes: int
    clips: int = Field(description="recordings found in it so far")
    failed: int = Field(description="of them, those that could not be taken out of the archive")
    duplicates: int = Field(description="of them, those whose bytes the job has already: computed once")
    error_code: str | None
    error: str | None


class Counts(BaseModel):
    """Clips of a job so far; classified + rejected + no_voice + failed + duplicates = done."""

    clips: int = Field(description="found so far")
    done: int
    classified: int
    rejected: int
    no_voice: int
    failed: int
    duplicates: int


class Progress(BaseModel):
    """How far a job is."""

    fraction: float = Field(description="0 to 1; of what is expected to be in the uploads")
    clips_per_s: float | None
    seconds_left: float | None


class JobDocument(BaseModel):
    """A job, whole."""

    id: int
    name: str | None
    state: Literal["open", "running", "done", "failed", "cancelled", "deleting"]
    model_version: str
    threshold: float | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    uploads: list[UploadDocument]
    counts: Counts
    progress: Progress


class JobPage(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobDocument]
    next: int | None = Field(description="give as `before` for the next page; null: this is the last")


@router.post("", status_code=201)
def create_job(
    request: JobRequest,
    parts: Wired,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> JobDocument:
    """Create an open job. Then PUT its uploads, then start it.

    The same Idempotency-Key with the same body answers with the job that the first request made.
    """
    version = aliases(parts).get(request.model, request.model)
    registry.read_manifest(parts.settings.model_folders, version)
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    values = {
        "key": uuid4().hex,
        "name": request.name,
        "state": "open",
        "model_version": version,
        "threshold": request.threshold,
        "idempotency_key": idempotency_key,
        "idempotency_digest": digest if idempotency_key else None,
        "created_at": parts.database.clock,
    }
    with parts.database.write() as connection:
        made = parts.database.insert(job).values(values).on_conflict_do_nothing().returning(job.c.id)
        job_id = connection.execute(made).scalar_one_or_none()
        if job_id is None:
            same = job.c.idempotency_key == idempotency_key
            before = connection.execute(select(job.c.id, job.c.idempotency_digest).where(same)).one()
            if before.idempotency_digest != digest:
                raise KeyUsedAgain(key=idempotency_key)
            job_id = before.id
        return documents(connection, parts, [find(connection, job_id)])[0]


@router.get("")
def list_jobs(
    parts: Wired,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> JobPage:
    """Jobs, the newest first, by pages."""
    with parts.database.read() as connection:
        rows = queries.jobs_page(connection, before, limit)
        found = documents(connection, parts, list(rows))
    return JobPage(jobs=found, next=rows[-1]["id"] if len(rows) == limit else None)


@router.get("/{job_id}")
def show_job(job_id: JobId, parts: Wired) -> JobDocument:
    """One job: state, counts, rate, time left."""
    with parts.database.read() as connection:
        return documents(connection, parts, [find(connection, job_id)])[0]


@router.post("/{job_id}/start")
def start_job(job_id: JobId, parts: Wired) -> JobDocument:
    """Seal the uploads and start the work."""
    _confirm_arrived(parts, job_id)
    with parts.database.write() as connection:
        lock_open_job(connection, job_id)
        bells = _seal(connection, parts, job_id)
        document = documents(connection, parts, [find(connection, job_id)])[0]
    parts.ring(bells)
    return document


def _confirm_arrived(parts: Parts, job_id: int) -> None:
    """Uploads that are whole in the store without our having seen their end.

    They came by a form, straight to the store; or this process died between the store's word and its own.
    """
    with parts.database.read() as connection:
        uploads = queries.uploads_of(connection, [job_id])
    for row in uploads:
        if row["state"] == "receiving" and (size := parts.storage.size(row["object_key"])):
            arrived = upload.c.id == row["id"], upload.c.state == "receiving"
            values = {"state": "pending", "bytes": size, "multipart_id": None}
            with parts.database.write() as connection:
                lock_open_job(connection, job_id)
                connection.execute(update(upload).where(*arrived).values(values))


def _seal(connection: Connection, parts: Parts, job_id: int) -> list[Bell]:
    uploads = queries.uploads_of(connection, [job_id])
    if not uploads:
        raise JobWithoutUploads(job=job_id)
    for row in uploads:
        if row["state"] == "receiving":
            raise UploadUnfinished(job=job_id, name=row["name"], received=row["bytes"])
    now = parts.database.clock
    small = sum(row["bytes"] for row in uploads) < SMALL_BYTES
    connection.execute(
        update(job).where(job.c.id == job_id).values(state="running", started_at=now, small=small)
    )
    pending = upload.c.state == "pending"
    connection.execute(update(upload).where(upload.c.job_id == job_id, pending).values(rung_at=now))
    ids = connection.execute(select(upload.c.id).where(upload.c.job_id == job_id, pending)).scalars()
    return leases.bells_for(connection, UNPACK, list(ids))


def lock_open_job(connection: Connection, job_id: int) -> None:
    """Lock the job's row for this transaction; UnknownJob, or JobNotOpen, where nothing can be added."""
    state = leases.lock_job(connection, job_id)
    if state is None:
        raise UnknownJob(job=job_id)
    if state != "open":
        raise JobNotOpen(job=job_id, state=state)


def find(connection: Connection, job_id: int) -> RowMapping:
    """The job's row, or UnknownJob."""
    row = queries.job_row(connection, job_id)
    if row is None:
        raise UnknownJob(job=job_id)
    return row


def documents(connection: Connection, parts: Parts, rows: list[RowMapping]) -> list[JobDocument]:
    """The documents of these jobs, with three queries whatever their number."""
    ids = [row["id"] for row in rows]
    uploads: dict[int, list[RowMapping]] = {job_id: [] for job_id in ids}
    for row in queries.uploads_of(connection, ids):
        uploads[row["job_id"]].append(row)
    outcomes = queries.outcome_counts(connection, ids)
    now = queries.now(connection, parts.database)
    return [_document(row, uploads[row["id"]], dict(outcomes.get(row["id"], {})), now) for row in rows]


def _document(
    row: RowMapping, uploads: list[RowMapping], outcomes: dict[str, int], now: float
) -> JobDocument:
    counts = {outcome: outcomes.get(outcome, 0) for outcome in OUTCOMES}
    counts["failed"] += sum(one["failed"] for one in uploads)
    duplicates = sum(one["duplicates"] for one in uploads)
    clips = sum(one["clips"] for one in uploads)
    done = sum(counts.values()) + duplicates
    return JobDocument(
        id=row["id"],
        name=row["name"],
        state=row["state"],
        model_version=row["model_version"],
        threshold=row["threshold"],
        created_at=_moment(row["created_at"]),
        started_at=None if row["started_at"] is None else _moment(row["started_at"]),
        ended_at=None if row["ended_at"] is None else _moment(row["ended_at"]),
        uploads=[UploadDocument.model_validate(dict(one)) for one in uploads],
        counts=Counts(clips=clips, done=done, duplicates=duplicates, **counts),
        progress=_progress(row, uploads, clips, done, now),
    )


def _progress(row: RowMapping, uploads: list[RowMapping], clips: int, done: int, now: float) -> Progress:
    """What is still packed is estimated from the bytes: as many clips a byte as so far."""
    if row["started_at"] is None:
        return Progress(fraction=0.0, clips_per_s=None, seconds_left=None)
    seconds = max((row["ended_at"] or now) - row["started_at"], 1e-3)
    rate = done / seconds
    if row["ended_at"] is not None:
        return Progress(fraction=1.0, clips_per_s=rate, seconds_left=0.0)
    total = sum(one["bytes"] for one in uploads)
    read = sum(one["bytes_read"] for one in uploads)
    if not done or not read:
        return Progress(fraction=0.0, clips_per_s=None, seconds_left=None)
    expected = max(clips * total / read, done)
    return Progress(fraction=done / expected, clips_per_s=rate, seconds_left=(expected - done) / rate)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
