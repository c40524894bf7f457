"""What requests say: the bodies that the API takes. A field that they have not is refused."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CHAMPION = "champion"  # the movable name of the version that answers unless another is asked for
MINIMUM_S = 0.1  # of a window, and of the step to the next one


class RequestModel(BaseModel):
    """The body of a request. A field that it has not is 422."""

    model_config = ConfigDict(extra="forbid")


class JobRequest(RequestModel):
    """What one may say of a job when creating it."""

    name: str | None = Field(default=None, max_length=1000, description="for people; need not be unique")
    model: str = Field(
        default=CHAMPION, description="a model version, or an alias as `champion` or `candidate`"
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="confidence below which a clip is rejected; else the version's"
    )
    windows: Literal["clip", "sliding"] = Field(
        default="clip",
        description="sliding: each window's outcome is kept as a segment; the clip's is their mean, weighted "
        "by the voice in each",
    )
    win_s: float | None = Field(
        default=None,
        ge=MINIMUM_S,
        allow_inf_nan=False,
        description="seconds of a sliding window; else as long as the version hears at once, the longest",
    )
    hop_s: float | None = Field(
        default=None,
        ge=MINIMUM_S,
        allow_inf_nan=False,
        description="seconds from one sliding window's beginning to the next one's; else half of a window",
    )
    channels: Literal["mix", "separate"] = Field(
        default="mix", description="separate: segments for each channel, the clip's outcome over all of them"
    )
    encoding: str | None = Field(
        default=None,
        max_length=100,
        description="of names in archives that are not UTF-8 and do not say what they are: `cp932`, `gbk`, …",
    )
    webhook: str | None = Field(
        default=None,
        max_length=2000,
        description="http or https address to which the job's document is POSTed when it has ended",
    )


class FormRequest(RequestModel):
    """An upload that goes straight to the store."""

    name: str = Field(min_length=1, max_length=1000)
    bytes: int | None = Field(default=None, ge=1, description="its size, if known")


class SourceRequest(RequestModel):
    """Objects that lie in the store already."""

    url: str = Field(max_length=2000, description="s3://bucket/prefix")


class ReclassifyRequest(RequestModel):
    """Under which version."""

    model: str = Field(description="a model version, or an alias as `candidate`")


class Label(RequestModel):
    """One person's answer for one clip."""

    clip_id: int = Field(ge=1, le=2**63 - 1, description="as result rows have it")
    emotion: str = Field(max_length=100, description="a label of the champion, or one of its unknowns")
    speaker: str | None = Field(default=None, max_length=200, description="who is heard")
    labeller: str = Field(default="", max_length=200, description="who says so; one answer a clip each")
