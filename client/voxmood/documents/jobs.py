"""Jobs: what the API answers of one, and what a webhook is told."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from voxmood.states import JobState, UploadState, WebhookState


class UploadDocument(BaseModel):
    """One upload of a job."""

    name: str
    state: UploadState
    bytes: int
    clips: int = Field(description="recordings found in it so far")
    failed: int = Field(description="of them, those that failed: taken out of the archive, or decoded")
    duplicates: int = Field(
        description="of them, those with an outcome whose bytes the job had already: computed once"
    )
    error_code: str | None
    error: str | None


class Counts(BaseModel):
    """Clips of a job so far; classified + rejected + no_voice + failed = done, the number of its rows."""

    clips: int = Field(description="found so far")
    done: int
    classified: int
    rejected: int
    no_voice: int
    failed: int
    duplicates: int = Field(
        description="of those that are done: they have the bytes of an earlier clip, and its outcome"
    )


class Progress(BaseModel):
    """How far a job's run is, the first or that which the last retry or reclassify began."""

    done: int = Field(description="clips that got an outcome in this run, under any model version")
    expected: int | None = Field(
        description="of what is in the uploads, how many that will be; null: nothing of them is read yet"
    )
    fraction: float = Field(description="0 to 1: done of expected")
    clips_per_s: float | None = Field(description="over the run; null: none has an outcome yet")
    seconds_left: float | None = Field(description="null: not known, or the job was cancelled")


class WebhookDocument(BaseModel):
    """Who is told of the job's end, and whether that went well."""

    url: str
    state: WebhookState = Field(description="waiting: for the job's end, or for the next try")
    attempts: int = Field(description="requests begun since the job's last end")
    error: str | None = Field(description="why the last one failed")


class ShareDocument(BaseModel):
    """A share of clips, and where it lies with 95 % confidence."""

    clips: int
    share: float
    low: float
    high: float


class AccuracyDocument(BaseModel):
    """How often a job's answers are right, as the labels of clips that were drawn at random say."""

    reviewed: int = Field(description="clips of the sample that have a label, and those who gave one agree")
    all: ShareDocument | None = Field(description="right best guesses, of what is classified or rejected")
    accepted: ShareDocument | None = Field(description="right answers, of what is classified")


class JobDocument(BaseModel):
    """A job, whole."""

    id: int
    name: str | None
    state: JobState
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
    accuracy: AccuracyDocument | None = Field(
        default=None, description="null: nobody has labelled a clip that was drawn at random for review"
    )


class JobPage(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobDocument]
    next: int | None = Field(description="give as `before` for the next page; null: this is the last")


class UploadForm(BaseModel):
    """POST the file to `url` as multipart/form-data with these fields, `file` last; then start the job."""

    url: str
    fields: dict[str, str]
    expires_s: int
