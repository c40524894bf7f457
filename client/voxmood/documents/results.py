"""Result rows as the OpenAPI document declares them.

The answers hold dicts: checking 1,000 of them against a model costs milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from shared.core.states import Outcome

_HEARD: dict[str, JsonValue] = {
    "type": ["number", "null"],
    "description": "the probability of an emotion of the model version",
}
_EXAMPLE: dict[str, JsonValue] = {
    "path": "tapes/1987/take 12.wav",
    "outcome": Outcome.CLASSIFIED,
    "emotion": "happy",
    "confidence": 0.91,
    "threshold": 0.6,
    "model_version": "v7",
    "duration_s": 3.6,
    "error_code": None,
    "error": None,
    "upload": "tapes.zip",
    "clip_id": 12,
    "quality": "good",
    "p_happy": 0.91,
    "p_calm": 0.09,
    "message": "happy, with confidence 0.91.",
}


class ResultRow(BaseModel):
    """What became of one clip. `p_<emotion>` for each label of the version."""

    model_config = ConfigDict(
        json_schema_extra={"patternProperties": {"^p_": _HEARD}, "examples": [_EXAMPLE]}
    )

    path: str = Field(description="as in its archive")
    outcome: Outcome
    emotion: str | None = Field(description="of what is classified")
    confidence: float | None
    threshold: float | None = Field(description="confidence below which it would be rejected")
    model_version: str
    duration_s: float | None
    error_code: str | None = Field(description="why it failed, for programs")
    error: str | None = Field(description="the same as a sentence")
    upload: str = Field(description="the upload it came in")
    clip_id: int = Field(description="of GET /v1/clips/{clip_id}/audio, and of labels")
    quality: str | None = Field(
        description="good, or of narrow_band, noisy, little_voice those that are so, by spaces"
    )
    message: str = Field(description="the whole row as a sentence")


class SegmentRow(ResultRow):
    """What was heard in one window of a clip."""

    model_config = ConfigDict(
        json_schema_extra={
            "patternProperties": {"^p_": _HEARD},
            "examples": [_EXAMPLE | {"channel": "", "start_s": 1.5, "end_s": 4.5}],
        }
    )

    channel: str = Field(description="from 1; empty where channels are mixed")
    start_s: float
    end_s: float


Row = Annotated[
    dict[str, Any],
    WithJsonSchema({"anyOf": [SegmentRow.model_json_schema(), ResultRow.model_json_schema()]}),
]
