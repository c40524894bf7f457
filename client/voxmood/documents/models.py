"""Model versions, and the retraining that makes more."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from voxmood.states import DriftState


class ModelDocument(BaseModel):
    """One version."""

    version: str
    aliases: list[str] = Field(description="the movable names that mean it now: champion, candidate")
    base: str | None = Field(description="the champion that it was trained to follow")
    labels: list[str]
    unknown_labels: list[str] = Field(description="emotions that it does not know, and should reject")
    threshold: float
    accuracy: float = Field(description="on the test part of its own training")
    training_clips: int
    runtimes: list[str] = Field(
        description="what can run it; versions without an ONNX form: tensorflow alone"
    )
    created: datetime


class RetrainingDocument(BaseModel):
    """The retraining's state."""

    is_running: bool
    is_asked: bool = Field(description="somebody asked for one, and it has not ended yet")
    newly_labelled: int = Field(description="clips labelled since the last trained version")
    wanted: int = Field(description="so many of them begin a retraining by themselves")
    ended_at: datetime | None = Field(description="when it last looked")
    text: str | None = Field(description="what came of it")


class PromotionDocument(BaseModel):
    """A move of the champion's name."""

    id: int
    version: str
    previous: str = Field(description="the champion until then")
    promoted_by: str = Field(description="an API key, the owner, or the gate")
    promoted_at: datetime
    undone_at: datetime | None = Field(description="by a rollback; null: it stands")


class ChampionDocument(BaseModel):
    """The version that answers unless another is asked for."""

    version: str
    frozen_at: datetime | None = Field(description="since when it may not move; null: it may")
    promotions: list[PromotionDocument] = Field(description="the newest ten, the last one first")


class DriftBin(BaseModel):
    """A range of confidence, and the share of clips in it when the threshold was set, and lately."""

    low: float
    high: float
    expected: float
    found: float


class DriftDocument(BaseModel):
    """Whether what a version hears lately is like what its threshold was set on."""

    version: str
    days: float = Field(description="jobs that were started in them count")
    clips: int = Field(description="with an answer, classified or rejected")
    index: float | None = Field(
        description="population stability index of the confidences: below 0.1 stable, from 0.25 on changed; "
        "null: too few clips, or nothing to compare with"
    )
    state: DriftState
    bins: list[DriftBin]


class Models(BaseModel):
    """All versions, the champion, and the retraining."""

    models: list[ModelDocument]
    champion: ChampionDocument
    retraining: RetrainingDocument
