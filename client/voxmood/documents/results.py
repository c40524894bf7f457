"""Result rows: one for each clip, one for each window where windows were asked for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from voxmood.states import Outcome

PROBABILITY = "p_"  # how the columns of probabilities begin; the emotion follows
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


def _with_probabilities(example: dict[str, JsonValue]) -> ConfigDict:
    """Columns that a row has beyond its fields are kept; its schema names those of probabilities alone."""

    def declare(schema: dict[str, Any]) -> None:
        del schema["additionalProperties"]
        schema |= {"patternProperties": {f"^{PROBABILITY}": _HEARD}, "examples": [example]}

    return ConfigDict(extra="allow", json_schema_extra=declare)


class ResultRow(BaseModel):
    """What became of one clip. `p_<emotion>` for each label of the version."""

    model_config = _with_probabilities(_EXAMPLE)

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

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each emotion of the model version; empty where nothing was heard.

        >>> ResultRow.model_validate(_EXAMPLE).probabilities
        {'happy': 0.91, 'calm': 0.09}
        """
        columns = (self.model_extra or {}).items()
        heard = {name: value for name, value in columns if name.startswith(PROBABILITY)}
        return {name.removeprefix(PROBABILITY): value for name, value in heard.items() if value is not None}


class SegmentRow(ResultRow):
    """What was heard in one window of a clip."""

    model_config = _with_probabilities(_EXAMPLE | {"channel": "", "start_s": 1.5, "end_s": 4.5})

    channel: str = Field(description="from 1; empty where channels are mixed")
    start_s: float
    end_s: float


# A row as it travels: pages hold dicts, since the server need not check 1,000 rows of its own, for
# milliseconds each time.
Row = Annotated[
    dict[str, Any],
    WithJsonSchema({"anyOf": [SegmentRow.model_json_schema(), ResultRow.model_json_schema()]}),
]


class ResultPage(BaseModel):
    """Result rows in archive order: the columns of the contract, `p_<emotion>` each, and `message`.

    Segments: by channel, then time, within a clip, with `channel` (empty where they are mixed), `start_s` and
    `end_s` behind `quality`.
    """

    results: list[Row]
    next: str | None = Field(description="give as `cursor` for the next page; null: no further row yet")
