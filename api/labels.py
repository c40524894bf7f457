"""Labels: what people say of clips. Retraining learns from them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query
from fastapi.responses import JSONResponse

from api.access import Asker, Labeller, LabelReader
from api.problems import problem_of
from api.services import Wired
from shared.core.errors.models import NoLabelStored
from shared.core.errors.requests import LabelsUnnamed, UnknownJob
from shared.database import jobs, labels
from shared.database.labels import LabelSelection, NewLabel
from shared.jobs import champions
from shared.jobs.agreement import agreement_of
from shared.models.serving import registry
from voxmood.documents import (
    AgreementDocument,
    Code,
    Deleted,
    Label,
    LabelDocument,
    LabelPage,
    Refusal,
    Stored,
)

router = APIRouter(prefix="/v1/labels", tags=["labels"])
MOST_LABELS = 10_000
Id = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Words = Annotated[str | None, Query(max_length=4000, pattern=r"^[^\x00]*$")]


def _selection(
    services: Wired,
    caller: Asker,
    job: Id = None,
    clip_id: Id = None,
    path: Words = None,
    labeller: Words = None,
) -> LabelSelection:
    if job is not None:
        with services.database.read() as connection:
            if jobs.job_row(connection, job, caller.only) is None:
                raise UnknownJob(job=job)
    return LabelSelection(job, clip_id, path, labeller, caller.only)


Selected = Annotated[LabelSelection, Depends(_selection)]


@router.post("", response_model=Stored)
def store_labels(
    wanted: Annotated[list[Label], Body(min_length=1, max_length=MOST_LABELS)],
    services: Wired,
    caller: Labeller,
) -> Stored | JSONResponse:
    """Store labels. A labeller's later label for a clip replaces the one before.

    Each is checked for itself; if none can be stored it is 422, with the same `refused`.
    """
    settings = services.settings
    version = champions.current(services.database, settings.champion)
    champion = registry.read_manifest(settings.model_folders, version)
    emotions = [*champion.labels, *champion.unknown_labels]
    with services.database.write() as connection:
        clip_ids = sorted({one.clip_id for one in wanted})
        clips = labels.labelled_clips(connection, clip_ids, caller.only)
        reasons = [_reason(one, clips, emotions) for one in wanted]
        good = [
            NewLabel(**one.model_dump())
            for one, reason in zip(wanted, reasons, strict=True)
            if reason is None
        ]
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
    selection: Selected,
    _: LabelReader,
    after: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> LabelPage:
    """Labels by pages; what is asked is joined by *and*."""
    with services.database.read() as connection:
        rows = labels.labels_page(connection, selection, after, limit)
    documents = [
        LabelDocument(**asdict(row) | {"created_at": datetime.fromtimestamp(row.created_at, UTC)})
        for row in rows
    ]
    return LabelPage(labels=documents, next=rows[-1].id if len(rows) == limit else None)


@router.get("/agreement")
def labellers_agreement(services: Wired, selection: Selected, _: LabelReader) -> AgreementDocument:
    """How far labellers agree, of a job or of all labels; what is asked is joined by *and*."""
    with services.database.read() as connection:
        return agreement_of(labels.opinions(connection, selection))


@router.delete("")
def delete_labels(services: Wired, selection: Selected, _: Labeller) -> Deleted:
    """Remove the labels of a job or of a clip; what is asked is joined by *and*. Repeated, it finds none."""
    if selection.job_id is None and selection.clip_id is None:
        raise LabelsUnnamed
    with services.database.write() as connection:
        return Deleted(deleted=labels.delete_labels(connection, selection))


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
