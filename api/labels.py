"""Labels: what people say of clips. Retraining learns from them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.access import Labeller
from api.parts import Wired
from api.problems import problem
from api.strict import RequestModel
from shared.database import labels
from shared.emotion import registry
from shared.errors.models import NoLabelStored

router = APIRouter(prefix="/v1/labels", tags=["labels"])
MOST_LABELS = 10_000


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
    reason: str


class Stored(BaseModel):
    """What became of a list of labels."""

    stored: int
    refused: list[Refusal]


@router.post("", response_model=Stored)
def store_labels(
    wanted: Annotated[list[Label], Body(min_length=1, max_length=MOST_LABELS)],
    parts: Wired,
    caller: Labeller,
) -> Stored | JSONResponse:
    """Store labels. A labeller's later label for a clip replaces the one before.

    Each is checked for itself; if none can be stored it is 422, with the same `refused`.
    """
    champion = registry.read_manifest(parts.settings.model_folders, parts.settings.champion)
    emotions = [*champion.labels, *champion.unknown_labels]
    with parts.database.write() as connection:
        clip_ids = sorted({one.clip_id for one in wanted})
        clips = labels.labelled_clips(connection, clip_ids, caller.only)
        reasons = [_reason(one, clips, emotions) for one in wanted]
        good = [one.model_dump() for one, reason in zip(wanted, reasons, strict=True) if not reason]
        if good:
            labels.store_labels(connection, parts.database, good)
    refused = [
        Refusal(place=place, clip_id=one.clip_id, reason=reason)
        for place, (one, reason) in enumerate(zip(wanted, reasons, strict=True))
        if reason
    ]
    if not good:
        error = NoLabelStored(count=len(wanted), reason=refused[0].reason)
        why = [one.model_dump() for one in refused]
        return problem(error.status, str(error), error.code, refused=why)
    return Stored(stored=len(good), refused=refused)


def _reason(wanted: Label, clips: dict[int, bool], emotions: list[str]) -> str | None:
    if wanted.clip_id not in clips:
        return f"there is no clip {wanted.clip_id}"
    if not clips[wanted.clip_id]:
        return f"clip {wanted.clip_id} has no recording: it could not be taken out of its archive"
    if wanted.emotion not in emotions:
        return f"{wanted.emotion!r} is no emotion of the champion or its unknowns: {', '.join(emotions)}"
    return None
