"""When an answer is refused, and what the person is told. Needs no network, so the API has it too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.audio.quality_flags import PHRASES, QualityFlag
from shared.core.states import Outcome

SEED_PERCENTILE = 95
SEED_MARGIN = 0.05
SEED_BOUNDS = 0.60, 0.85
SEED_WITHOUT_UNKNOWNS = 0.70

RISK_TARGET = 0.10
RISK_MIN_COVERAGE = 0.20  # below it, the few clips that are left say little about a risk
MOST_DIGITS = 17  # two different doubles differ in them

Values = NDArray[np.float64]


def seed_threshold(unknown_confidences: ArrayLike) -> tuple[float, float | None]:
    """The seed's rule, from the top probability of each clip of the unknown emotions, shape (n,).

    Returns the threshold, and what the rule gave before it was clipped to [0.60, 0.85]; without unknowns
    0.70 and None.
    """
    confidences = np.asarray(unknown_confidences, np.float64)
    if not len(confidences):
        return SEED_WITHOUT_UNKNOWNS, None
    unclipped = float(np.percentile(confidences, SEED_PERCENTILE)) + SEED_MARGIN
    return float(np.clip(unclipped, *SEED_BOUNDS)), unclipped


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """What each threshold that the data can tell apart accepts, from the strictest.

    thresholds: distinct confidences, falling; coverage: the share of all clips at or above each; risk: the
    share of wrong ones among those. All (k,). El-Yaniv & Wiener 2010, JMLR 11.
    """

    thresholds: Values
    coverage: Values
    risk: Values

    @classmethod
    def of(cls, confidences: ArrayLike, is_right: ArrayLike) -> RiskCoverage:
        """From clips' confidences and whether each answer was right, both (n,), n > 0; ties stay together."""
        scores, right = np.asarray(confidences, np.float64), np.asarray(is_right, bool)
        order = np.argsort(-scores, kind="stable")
        scores, wrong = scores[order], np.cumsum(~right[order])
        last = np.flatnonzero(np.append(np.diff(scores) != 0, True))
        return cls(scores[last], (last + 1) / len(scores), wrong[last] / (last + 1))

    @property
    def area(self) -> float:
        """AURC: the mean risk over all coverages; without ties the mean of the risks."""
        return float(np.sum(self.risk * np.diff(self.coverage, prepend=0.0)))

    def points(self, most: int = 100) -> list[tuple[float, float, float]]:
        """Threshold, coverage and risk of at most so many points, evenly spread over the coverage."""
        places = np.unique(np.linspace(0, len(self.thresholds) - 1, most).round().astype(int))
        columns = (self.thresholds[places], self.coverage[places], self.risk[places])
        return [(float(t), float(c), float(r)) for t, c, r in zip(*columns, strict=True)]

    def coverage_at(self, risk: float) -> float:
        """The largest coverage at which no more than this share is wrong; 0 if there is none."""
        return float(self.coverage[self.risk <= risk].max(initial=0.0))

    def risk_at(self, coverage: float) -> float:
        """The share of wrong ones among the surest clips that are at least this share of all."""
        return float(self.risk[np.argmax(self.coverage >= coverage)])


def risk_threshold(
    confidences: ArrayLike, is_right: ArrayLike, target: float = RISK_TARGET
) -> tuple[float, bool]:
    """The threshold that accepts most with at most `target` of it wrong, and whether there is one.

    Without one it is that of the lowest risk at a coverage of 0.2 or more. An unknown emotion's clip is
    never right. Both arguments are (n,), n > 0.
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
    """The sentence beside an outcome, in the seed's words; error: why it failed, or was heard in part;
    quality: the words of a recording's, of which a rejection says those that may be its reason.

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


def below(confidence: float, threshold: float) -> str:
    """As many digits as it takes to be true.

    >>> below(0.57, 0.85), below(0.79996, 0.8)
    ('0.57 < 0.85', '0.79996 < 0.80000')
    """
    digits = next((one for one in range(2, MOST_DIGITS) if _differ(confidence, threshold, one)), MOST_DIGITS)
    return f"{confidence:.{digits}f} < {threshold:.{digits}f}"


def _differ(confidence: float, threshold: float, digits: int) -> bool:
    return f"{confidence:.{digits}f}" != f"{threshold:.{digits}f}"


def digits_below(pairs: Iterable[tuple[float, float]]) -> int:
    """How many digits a column of confidences needs, so that each pair (confidence, threshold) differs.

    >>> digits_below([(0.5, 0.8), (0.7996, 0.8)])
    4
    """
    return max((len(below(*pair).split(" < ")[0]) - 2 for pair in pairs), default=2)


def _either(labels: Sequence[str]) -> str:
    return " or ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)
