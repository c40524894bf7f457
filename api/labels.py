"""Labels: what people say of clips. Retraining learns from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.access import Asker, Labeller, LabelReader
from api.problems import problem_of
from api.services import Wired
from api.strict import RequestModel
from shared.core.errors.models import NoLabelStored
from shared.core.errors.requests import LabelsUnnamed, UnknownJob
from shared.database import labels, queries
from shared.database.labels import Chosen
from shared.models.serving import registry

router = APIRouter(prefix="/v1/labels", tags=["labels"])
MOST_LABELS = 10_000
Code = Literal["unknown_clip", "no_recording", "unknown_emotion"]
Id = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Words = Annotated[str | None, Query(max_length=4000, pattern=r"^[^\x00]*$")]


def _chosen(
    services: Wired,
    caller: Asker,
    job: Id = None,
    clip_id: Id = None,
    path: Words = None,
    labeller: Words = None,
) -> Chosen:
    if job is not None:
        with services.database.read() as connection:
            if queries.job_row(connection, job, caller.only) is None:
                raise UnknownJob(job=job)
    return Chosen(job, clip_id, path, labeller, caller.only)


Asked = Annotated[Chosen, Depends(_chosen)]


class Label(RequestModel):
    """One person's answer for one clip."""

    clip_id: int = Field(ge=1, le=2**63 - 1, description="as result rows have it")
    emotion: str = Field(max_length=100, description="a label of the champion, or one of its unknowns")
    speaker: str | None = Field(default=None, max_length=200, description="who is heard")
    labeller: str = Field(default="", max_length=200, description="who says so; one answer a clip each")


class Refusal(BaseModel):
    """A label that was not stored."""

    place: int = Field(description="in the list that was sent, from 0")
    clip_id: int
    code: Code
    reason: str


class LabelDocument(BaseModel):
    """A label that is stored, and of what."""

    id: int
    job_id: int
    clip_id: int
    path: str
    upload: str
    emotion: str
    speaker: str | None
    labeller: str
    created_at: datetime = Field(description="when it was given, or replaced the last time")


class LabelPage(BaseModel):
    """Labels in the order in which their clips were first labelled."""

    labels: list[LabelDocument]
    next: int | None = Field(description="give as `after` for the next page; null: this is the last")


class Deleted(BaseModel):
    """How many labels there were."""

    deleted: int


class Stored(BaseModel):
    """What became of a list of labels."""

    stored: int
    refused: list[Refusal]


@router.post("", response_model=Stored)
def store_labels(
    wanted: Annotated[list[Label], Body(min_length=1, max_length=MOST_LABELS)],
    services: Wired,
    caller: Labeller,
) -> Stored | JSONResponse:
    """Store labels. A labeller's later label for a clip replaces the one before.

    Each is checked for itself; if none can be stored it is 422, with the same `refused`.
    """
    champion = registry.read_manifest(services.settings.model_folders, services.settings.champion)
    emotions = [*champion.labels, *champion.unknown_labels]
    with services.database.write() as connection:
        clip_ids = sorted({one.clip_id for one in wanted})
        clips = labels.labelled_clips(connection, clip_ids, caller.only)
        reasons = [_reason(one, clips, emotions) for one in wanted]
        good = [one.model_dump() for one, reason in zip(wanted, reasons, strict=True) if reason is None]
        if good:
            labels.store_labels(connection, services.database, good)
    refused = [
        Refusal(place=place, clip_id=one.clip_id, code=reason[0], reason=reason[1])
        for place, (one, reason) in enumerate(zip(wanted, reasons, strict=True))
        if reason is not None
    ]
    if not good:
        error = NoLabelStored(count=len(wanted), reason=refused[0].reason)
        why = [one.model_dump() for one in refused]
        return problem_of(error, refused=why)
    return Stored(stored=len(good), refused=refused)


@router.get("")
def list_labels(
    services: Wired,
    chosen: Asked,
    _: LabelReader,
    after: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> LabelPage:
    """Labels by pages; what is asked is joined by *and*."""
    with services.database.read() as connection:
        rows = labels.labels_page(connection, chosen, after, limit)
    documents = [
        LabelDocument(**dict(row._mapping) | {"created_at": datetime.fromtimestamp(row.created_at, UTC)})
        for row in rows
    ]
    return LabelPage(labels=documents, next=rows[-1].id if len(rows) == limit else None)


@router.delete("")
def delete_labels(services: Wired, chosen: Asked, _: Labeller) -> Deleted:
    """Remove the labels of a job or of a clip; what is asked is joined by *and*. Repeated, it finds none."""
    if chosen.job_id is None and chosen.clip_id is None:
        raise LabelsUnnamed
    with services.database.write() as connection:
        return Deleted(deleted=labels.delete_labels(connection, chosen))


def _reason(wanted: Label, clips: dict[int, bool], emotions: list[str]) -> tuple[Code, str] | None:
    """Why a label cannot be stored: the kind of fault, and a sentence."""
    if wanted.clip_id not in clips:
        return "unknown_clip", f"there is no clip {wanted.clip_id}"
    if not clips[wanted.clip_id]:
        sentence = f"clip {wanted.clip_id} has no recording: it could not be taken out of its archive"
        return "no_recording", sentence
    if wanted.emotion not in emotions:
        known = ", ".join(emotions)
        return "unknown_emotion", f"{wanted.emotion!r} is no emotion of the champion or its unknowns: {known}"
    return None
