"""When an answer is refused, and what the person is told. Needs no network, so the API has it too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

CLASSIFIED, REJECTED, NO_VOICE, FAILED = "classified", "rejected", "no_voice", "failed"

SEED_PERCENTILE = 95
SEED_MARGIN = 0.05
SEED_BOUNDS = 0.60, 0.85
SEED_WITHOUT_UNKNOWNS = 0.70


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


def message(
    outcome: str,
    *,
    emotion: str | None = None,
    confidence: float | None = None,
    threshold: float | None = None,
    unknown_labels: Sequence[str] = (),
    error: str | None = None,
) -> str:
    """The sentence beside an outcome, in the seed's words.

    >>> message("rejected", confidence=0.57, threshold=0.85, unknown_labels=["sad", "surprised"])
    'Low confidence (0.57 < 0.85). May be sad or surprised.'
    """
    if outcome == FAILED:
        return error or "Could not be read."
    if outcome == NO_VOICE:
        return "All but silent: no voice to classify."
    if outcome == CLASSIFIED:
        return f"Classified as {emotion} ({confidence or 0:.2f})."
    low = f"Low confidence ({_below(confidence or 0, threshold or 0)})."
    return f"{low} May be {_either(unknown_labels)}." if unknown_labels else low


def _below(confidence: float, threshold: float) -> str:
    """'0.57 < 0.85', with as many digits as it takes to be true."""
    for digits in range(2, 8):
        low, high = f"{confidence:.{digits}f}", f"{threshold:.{digits}f}"
        if low != high:
            break
    return f"{low} < {high}"


def _either(labels: Sequence[str]) -> str:
    return " or ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)
