"""The threshold rule of the seed, and the sentences beside outcomes."""

from __future__ import annotations

import numpy as np
import pytest

from shared.emotion.rejection import message, seed_threshold


@pytest.mark.parametrize(
    ("confidences", "threshold", "unclipped"),
    [
        (np.linspace(0.5, 0.75, 101), 0.7875, 0.7875),  # the 95th of 0.50 to 0.75 is 0.7375
        (np.full(10, 0.99), 0.85, 1.04),
        (np.full(10, 0.3), 0.60, 0.35),
        ([], 0.70, None),
    ],
)
def test_the_threshold_follows_the_unknown_emotions(
    confidences: np.ndarray, threshold: float, unclipped: float | None
) -> None:
    assert seed_threshold(confidences) == (
        pytest.approx(threshold),
        None if unclipped is None else pytest.approx(unclipped),
    )


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [
        (["sad", "surprised"], "Low confidence (0.57 < 0.85). May be sad or surprised."),
        (["sad"], "Low confidence (0.57 < 0.85). May be sad."),
        (["bored", "sad", "surprised"], "Low confidence (0.57 < 0.85). May be bored, sad or surprised."),
        ([], "Low confidence (0.57 < 0.85)."),
    ],
)
def test_a_rejection_names_the_versions_own_unknowns(unknown: list[str], expected: str) -> None:
    assert message("rejected", confidence=0.5712, threshold=0.85, unknown_labels=unknown) == expected


def test_a_rejection_by_a_hair_does_not_say_that_a_number_is_below_itself() -> None:
    said = message("rejected", confidence=0.84996, threshold=0.85)
    assert said == "Low confidence (0.84996 < 0.85000)."


def test_every_outcome_has_a_sentence() -> None:
    assert message("classified", emotion="happy", confidence=0.934) == "Classified as happy (0.93)."
    assert "no voice" in message("no_voice")
    assert message("failed", error="a.wav holds no samples.") == "a.wav holds no samples."
