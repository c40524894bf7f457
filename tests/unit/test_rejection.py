"""The threshold rule of the seed, and the sentences beside outcomes."""

from __future__ import annotations

import numpy as np
import pytest

from shared.models.serving.rejection import (
    RiskCoverage,
    baseline_threshold,
    message,
    risk_threshold,
)
from voxmood.words import below, digits_below


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
    assert baseline_threshold(confidences) == (
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
    least = np.nextafter(0.85, 0)  # the next number that there is
    low, high = below(float(least), 0.85).split(" < ")
    assert low < high
    assert digits_below([]) == digits_below([(0.5, 0.85)]) == 2
    assert digits_below([(0.5, 0.85), (0.84996, 0.85), (0.1, 0.85)]) == 5


def test_every_outcome_has_a_sentence() -> None:
    assert message("classified", emotion="happy", confidence=0.934) == "Classified as happy (0.93)."
    assert message("no_voice") == "No voice to classify."
    assert message("failed", error="a.wav holds no samples.") == "a.wav holds no samples."


def test_the_risk_coverage_curve_equals_the_worked_example() -> None:
    # From the surest: right, wrong, then a tie of right and right, then wrong.
    curve = RiskCoverage.of([0.9, 0.8, 0.5, 0.5, 0.1], [True, False, True, True, False])
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.5, 0.1]
    assert curve.coverage.tolist() == [0.2, 0.4, 0.8, 1.0]
    assert curve.risk.tolist() == [0, 0.5, 0.25, 0.4]
    assert curve.area == pytest.approx(0 * 0.2 + 0.5 * 0.2 + 0.25 * 0.4 + 0.4 * 0.2)
    assert curve.coverage_at(0.25) == 0.8
    assert curve.coverage_at(0.1) == 0.2
    assert (curve.risk_at(0.4), curve.risk_at(0.5), curve.risk_at(1.0)) == (0.5, 0.25, 0.4)
    assert RiskCoverage.of([0.5], [False]).coverage_at(0.1) == 0


def test_the_area_is_the_mean_of_the_risks_where_no_confidences_tie() -> None:
    rng = np.random.default_rng(0)
    confidences, is_right = rng.permutation(50) / 50, rng.random(50) < 0.7
    right = is_right[np.argsort(-confidences)]
    risks = [1 - right[:accepted].mean() for accepted in range(1, 51)]
    assert RiskCoverage.of(confidences, is_right).area == pytest.approx(np.mean(risks))


def test_the_risk_rule_accepts_most_within_its_target() -> None:
    confidences = np.linspace(1, 0.01, 100)
    is_right = np.ones(100, bool)
    is_right[[5, 30, 31, 32, 33, 34, 60, 61, 62, 63, 64]] = False
    threshold, is_reached = risk_threshold(confidences, is_right)
    accepted = confidences >= threshold
    assert is_reached
    assert accepted.sum() == 60  # 6 of them are wrong; 7 of 61 would be too many, and so on to 11 of 100
    assert (~is_right[accepted]).mean() <= 0.10
    assert risk_threshold(confidences, is_right, target=0.02)[0] == confidences[4]


def test_where_no_threshold_reaches_the_target_the_lowest_risk_of_a_fifth_is_taken_and_said() -> None:
    # A risk of 1/2 at 2 of 10, of 1/3 at 3 of 10, and more below; the surest alone is wrong.
    is_right = [False, True, True, False, False, False, False, False, False, False]
    threshold, is_reached = risk_threshold(np.linspace(1, 0.1, 10), is_right)
    assert (threshold, is_reached) == (pytest.approx(0.8), False)
