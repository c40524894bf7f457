"""When an answer is rejected, and what people read then. Needs no network library, so the API uses it too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.audio.quality_flags import PHRASES, QualityFlag
from shared.core.states import Outcome
from voxmood.words import below

BASELINE_PERCENTILE = 95
BASELINE_MARGIN = 0.05
BASELINE_BOUNDS = 0.60, 0.85
BASELINE_WITHOUT_UNKNOWNS = 0.70

RISK_TARGET = 0.10
RISK_MIN_COVERAGE = 0.20  # below it, the few clips that are left say little about a risk

Values = NDArray[np.float64]


def baseline_threshold(unknown_confidences: ArrayLike) -> tuple[float, float | None]:
    """The threshold rule of the baseline.

    Args:
        unknown_confidences: the top probability of each clip of unknown emotions, shape (n,).

    Returns:
        The threshold, and what the rule gave before it was clipped to [0.60, 0.85]; 0.70 and None without
        unknown emotions.
    """
    confidences = np.asarray(unknown_confidences, np.float64)
    if not len(confidences):
        return BASELINE_WITHOUT_UNKNOWNS, None
    unclipped = float(np.percentile(confidences, BASELINE_PERCENTILE)) + BASELINE_MARGIN
    return float(np.clip(unclipped, *BASELINE_BOUNDS)), unclipped


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Coverage and risk at each threshold that the data can tell apart, from the strictest on.

    Attributes:
        thresholds: the distinct confidences, falling, shape (k,).
        coverage: the share of all clips at or above each, shape (k,).
        risk: the share of wrong answers among those, shape (k,).

    Source: El-Yaniv & Wiener 2010, JMLR 11.
    """

    thresholds: Values
    coverage: Values
    risk: Values

    @classmethod
    def of(cls, confidences: ArrayLike, is_right: ArrayLike) -> RiskCoverage:
        """The curve of clips; clips of equal confidence stay together.

        Args:
            confidences: shape (n,), n > 0.
            is_right: whether each answer was right, shape (n,).
        """
        scores, right = np.asarray(confidences, np.float64), np.asarray(is_right, bool)
        order = np.argsort(-scores, kind="stable")
        scores, wrong = scores[order], np.cumsum(~right[order])
        last = np.flatnonzero(np.append(np.diff(scores) != 0, True))
        return cls(scores[last], (last + 1) / len(scores), wrong[last] / (last + 1))

    @property
    def area(self) -> float:
        """AURC, the mean risk over all coverages; without ties it is the mean of the risks."""
        return float(np.sum(self.risk * np.diff(self.coverage, prepend=0.0)))

    def points(self, most: int = 100) -> list[tuple[float, float, float]]:
        """At most `most` points of threshold, coverage and risk, evenly spread over the coverage."""
        places = np.unique(np.linspace(0, len(self.thresholds) - 1, most).round().astype(int))
        columns = (self.thresholds[places], self.coverage[places], self.risk[places])
        return [(float(t), float(c), float(r)) for t, c, r in zip(*columns, strict=True)]

    def coverage_at(self, risk: float) -> float:
        """The largest coverage at which at most this share is wrong; 0 if there is none."""
        return float(self.coverage[self.risk <= risk].max(initial=0.0))

    def risk_at(self, coverage: float) -> float:
        """The share of wrong answers among the surest clips that make up at least this share of all."""
        return float(self.risk[np.argmax(self.coverage >= coverage)])


def risk_threshold(
    confidences: ArrayLike, is_right: ArrayLike, target: float = RISK_TARGET
) -> tuple[float, bool]:
    """The threshold that accepts most clips with at most `target` of them wrong.

    Where there is none, it is the threshold of the lowest risk at a coverage of 0.2 or more. An answer to a
    clip of an unknown emotion is never right.

    Args:
        confidences: shape (n,), n > 0.
        is_right: whether each answer was right, shape (n,).
        target: the share of accepted answers that may be wrong.

    Returns:
        The threshold, and whether it reaches the target.
    """
    curve = RiskCoverage.of(confidences, is_right)
    reaches = np.flatnonzero(curve.risk <= target)
    if len(reaches):
        return float(curve.thresholds[reaches[-1]]), True
    covers = np.flatnonzero(curve.coverage >= RISK_MIN_COVERAGE)
    return float(curve.thresholds[covers[np.argmin(curve.risk[covers])]]), False


def message(
    outcome: str,
    *,
    emotion: str | None = None,
    confidence: float | None = None,
    threshold: float | None = None,
    unknown_labels: Sequence[str] = (),
    error: str | None = None,
    quality: Iterable[str] = (),
) -> str:
    """An outcome as a sentence for people, in the words of the baseline.

    Args:
        outcome: an `Outcome`.
        emotion: what it was classified as.
        confidence: of the answer.
        threshold: what it was compared with.
        unknown_labels: emotions that the version was not trained on.
        error: why it failed, or why only a part of it was classified.
        quality: the recording's quality flags; a rejection names those that may be its reason.

    >>> message("rejected", confidence=0.57, threshold=0.85, unknown_labels=["sad", "surprised"])
    'Low confidence (0.57 < 0.85). May be sad or surprised.'
    >>> message("rejected", confidence=0.57, threshold=0.85, quality=["narrow_band", "noisy"])
    'Low confidence (0.57 < 0.85): telephone bandwidth, noisy.'
    """
    if outcome == Outcome.FAILED:
        return error or "Could not be read."
    if outcome == Outcome.NO_VOICE:
        said = "No voice to classify."
    elif outcome == Outcome.CLASSIFIED:
        said = f"Classified as {emotion} ({confidence or 0:.2f})."
    else:
        lacks = ", ".join(PHRASES[QualityFlag(word)] for word in quality if word != QualityFlag.good)
        reason = f": {lacks}" if lacks else ""
        said = f"Low confidence ({below(confidence or 0, threshold or 0)}){reason}."
        if unknown_labels:
            said += f" May be {_either(unknown_labels)}."
    return f"{said} {error}" if error else said


def _either(labels: Sequence[str]) -> str:
    return " or ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)
