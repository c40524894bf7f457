"""What became of a clip under a model version, and of each of its windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from shared.audio.quality import Quality
from shared.core.errors.recordings import ClipError
from shared.core.states import Outcome
from shared.models.serving.rejection import message


@dataclass(frozen=True, slots=True)
class Segment:
    """The outcome for one window of a clip. channel: "1", "2", …, or "" where they are mixed; start_s, end_s:
    seconds of the recording; the rest as a Verdict's.
    """

    channel: str
    start_s: float
    end_s: float
    outcome: str
    emotion: str | None
    confidence: float | None
    probabilities: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one clip.

    emotion: only when classified; confidence: the highest of `probabilities`, which are the mean of its
    windows', weighted by the voice in each; threshold: what it was held against; duration_s: of the whole
    recording; error_code, error: why it failed, or why only a part was heard; quality: of all that was heard;
    segments: by channel, then time, where they are kept.
    """

    path: str
    outcome: str
    emotion: str | None = None
    confidence: float | None = None
    threshold: float | None = None
    duration_s: float | None = None
    error_code: str | None = None
    error: str | None = None
    probabilities: dict[str, float] | None = None
    unknown_labels: tuple[str, ...] = ()
    quality: Quality | None = None
    segments: tuple[Segment, ...] = ()

    @classmethod
    def failed(cls, path: str, error: ClipError) -> Self:
        return cls(path, Outcome.FAILED, error_code=error.code, error=str(error))

    @property
    def message(self) -> str:
        """The sentence for a person."""
        return message(
            self.outcome,
            emotion=self.emotion,
            confidence=self.confidence,
            threshold=self.threshold,
            unknown_labels=self.unknown_labels,
            error=self.error,
            quality=() if self.quality is None else self.quality.flags,
        )
