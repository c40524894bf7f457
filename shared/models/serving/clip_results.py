"""The result of a clip under a model version, and of each of its windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from shared.audio.quality import Quality
from shared.core.errors.recordings import ClipError
from shared.core.states import Outcome
from shared.models.serving.rejection import message


@dataclass(frozen=True, slots=True)
class Segment:
    """The result of one window of a clip.

    Attributes:
        channel: "1", "2", …; empty where the channels are mixed.
        start_s: where it begins in the recording, in seconds.
        end_s: where it ends, in seconds.
        outcome: an `Outcome`.
        emotion: as in `ClipResult`.
        confidence: as in `ClipResult`.
        probabilities: as in `ClipResult`.
    """

    channel: str
    start_s: float
    end_s: float
    outcome: Outcome
    emotion: str | None
    confidence: float | None
    probabilities: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class ClipResult:
    """The result of one clip.

    Attributes:
        path: of the clip.
        outcome: an `Outcome`.
        emotion: only when it was classified.
        confidence: the highest of the probabilities.
        threshold: what the confidence was compared with.
        duration_s: of the whole recording, in seconds.
        error_code: of the error.
        error: why it failed, or why only a part of it was classified.
        probabilities: of each label; the mean of its windows', weighted by the voice in each.
        unknown_labels: emotions that the version was not trained on.
        quality: of everything that was classified.
        segments: of its windows, by channel, then time; empty unless they are kept.
    """

    path: str
    outcome: Outcome
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
        """The result of a clip that an error ended."""
        return cls(path, Outcome.FAILED, error_code=error.code, error=str(error))

    @property
    def message(self) -> str:
        """The result as a sentence for people."""
        return message(
            self.outcome,
            emotion=self.emotion,
            confidence=self.confidence,
            threshold=self.threshold,
            unknown_labels=self.unknown_labels,
            error=self.error,
            quality=() if self.quality is None else self.quality.flags,
        )
