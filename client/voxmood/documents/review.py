"""Clips that are worth a label."""

from __future__ import annotations

from pydantic import BaseModel, Field

from voxmood.documents.jobs import AccuracyDocument
from voxmood.states import Outcome, ReviewReason


class ReviewClip(BaseModel):
    """A clip without a label, and its answer."""

    clip_id: int = Field(description="of GET /v1/clips/{clip_id}/audio, and of labels")
    path: str
    upload: str
    reason: ReviewReason
    outcome: Outcome
    best_guess: str = Field(description="the likeliest emotion, also of what is rejected")
    confidence: float
    threshold: float
    probabilities: dict[str, float]


class ReviewQueue(BaseModel):
    """The clips most worth a label, those drawn at random first, and what the labels so far say."""

    clips: list[ReviewClip]
    accuracy: AccuracyDocument | None = Field(
        description="under the version that was asked about; null: no clip drawn at random has a label"
    )
