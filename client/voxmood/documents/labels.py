"""Labels: what people say of clips."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

Code = Literal["unknown_clip", "no_recording", "unknown_emotion"]


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


class AgreementDocument(BaseModel):
    """How far labellers agree on the clips that two or more of them have labelled."""

    labellers: int = Field(description="who have labelled such a clip")
    clips: int
    disputed: int = Field(description="of them, those of which not all say the same")
    kappa: float | None = Field(
        description="Cohen's of two labellers, else Fleiss': 1 is agreement, 0 no more than by chance; null: "
        "not defined"
    )


class Deleted(BaseModel):
    """How many labels there were."""

    deleted: int


class Stored(BaseModel):
    """What became of a list of labels."""

    stored: int
    refused: list[Refusal]
