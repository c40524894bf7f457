"""A job's status document: what `GET /v1/jobs/{id}` answers, and what a webhook is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping

from shared.database import queries
from shared.database.sessions import Database
from shared.database.tables import OUTCOMES


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


class WebhookDocument(BaseModel):
    """Who is told of the job's end, and whether that went well."""

    url: str
    state: Literal["waiting", "delivered", "given_up"] = Field(
        description="waiting: for the job's end, or for the next try"
    )
    attempts: int = Field(description="requests begun since the job's last end")
    error: str | None = Field(description="why the last one failed")


class JobDocument(BaseModel):
    """A job, whole."""

    id: int
    name: str | None
    state: Literal["open", "running", "done", "failed", "cancelled", "deleting"]
    model_version: str
    threshold: float | None
    windows: Literal["clip", "sliding"]
    win_s: float | None = Field(description="of sliding windows; null: as long as the version hears at once")
    hop_s: float | None = Field(description="of sliding windows; null: half of a window")
    channels: Literal["mix", "separate"]
    encoding: str | None = Field(description="of names in archives that do not say it; null: none was given")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    uploads: list[UploadDocument]
    counts: Counts
    progress: Progress
    webhook: WebhookDocument | None


def documents(connection: Connection, database: Database, rows: list[RowMapping]) -> list[JobDocument]:
    """The documents of these jobs, with four queries whatever their number."""
    ids = [row["id"] for row in rows]
    uploads: dict[int, list[RowMapping]] = {job_id: [] for job_id in ids}
    for row in queries.uploads_of(connection, ids):
        uploads[row["job_id"]].append(row)
    outcomes = queries.outcome_counts(connection, ids)
    webhooks = queries.webhooks_of(connection, ids)
    now = queries.now(connection, database)
    return [
        _document(row, uploads[row["id"]], dict(outcomes.get(row["id"], {})), webhooks.get(row["id"]), now)
        for row in rows
    ]


def _document(
    row: RowMapping,
    uploads: list[RowMapping],
    outcomes: dict[str, int],
    webhook: RowMapping | None,
    now: float,
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
        windows=row["windows"],
        win_s=row["win_s"],
        hop_s=row["hop_s"],
        channels=row["channels"],
        encoding=row["encoding"],
        created_at=_moment(row["created_at"]),
        started_at=None if row["started_at"] is None else _moment(row["started_at"]),
        ended_at=None if row["ended_at"] is None else _moment(row["ended_at"]),
        uploads=[UploadDocument.model_validate(dict(one)) for one in uploads],
        counts=Counts(clips=clips, done=done, duplicates=duplicates, **counts),
        progress=_progress(row, uploads, clips, done, now),
        webhook=None if webhook is None else WebhookDocument.model_validate(dict(webhook)),
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
