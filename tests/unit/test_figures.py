"""The figures of a protocol, from outcomes made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.models.evaluation.fold_results import FoldFacts, FoldOutputs, FoldResult
from shared.models.evaluation.summary import closed_set, open_set, spread
from shared.models.metrics.calibration import Threshold


def heard(emotions: str, confidences: list[float], answers: str, channels: str = "") -> FoldOutputs:
    """Clips of emotions a, b, u and v, each answered with a or b at a top probability."""
    right = np.log(np.array(confidences) / (1 - np.array(confidences)))
    logits = np.array(
        [[x, 0.0] if answer == "a" else [0.0, x] for x, answer in zip(right, answers, strict=True)]
    )
    names = {"s": "speech", "m": "song"}
    return FoldOutputs(
        logits.reshape(-1, 2),
        np.array([f"{number}.wav" for number in range(len(emotions))], np.str_),
        np.array(list(emotions), np.str_),
        np.array([names[letter] for letter in channels] or [""] * len(emotions), np.str_),
    )


def outcome(name: str, value: float, **parts: FoldOutputs) -> FoldResult:
    thresholds = [Threshold(set_on="u", rule="risk", score="top probability", value=value, is_reached=True)]
    facts = FoldFacts(
        identity=name, name=name, seed=42, selects_on_test=False, labels=["a", "b"], train_clips=9,
        temperature=1, thresholds=thresholds, epochs=1, best_epoch=1, train_accuracy=1, digest="",
    )  # fmt: skip
    return FoldResult(facts, parts)


@pytest.fixture
def outcomes() -> list[FoldResult]:
    return [
        outcome(
            "one", 0.75,
            test=heard("aab", [0.9, 0.8, 0.7], "abb", "sms"),
            unknown=heard("uv", [0.95, 0.6], "ab"),
            non_speech=heard("x", [0.99], "a"),
        ),
        outcome(
            "two", 0.55,
            test=heard("b", [0.6], "b", "s"),
            unknown=heard("vv", [0.65, 0.51], "ab"),
            non_speech=heard("x", [0.5], "a"),
        ),
    ]  # fmt: skip


def test_pooled_figures_are_over_clips_and_means_over_folds(outcomes: list[FoldResult]) -> None:
    figures = closed_set(outcomes)
    assert figures["all"]["pooled"]["accuracy"] == 3 / 4
    assert figures["all"]["pooled"]["uar"] == (1 / 2 + 1) / 2
    assert figures["all"]["pooled"]["confusion_matrix"] == [[1, 1], [0, 2]]
    # Each clip has a bin of its own: |1 - 0.9|, |0 - 0.8|, |1 - 0.7|, |1 - 0.6|.
    assert figures["all"]["pooled"]["ece"] == pytest.approx((0.1 + 0.8 + 0.3 + 0.4) / 4)
    assert figures["all"]["pooled"]["aurc"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert figures["all"]["pooled"]["coverage_at_10%_risk"] == 1 / 4
    assert figures["all"]["pooled"]["accuracy_of_surest_half"] == 1 / 2  # the wrong 0.8 is of it
    assert figures["all"]["folds"]["accuracy"]["mean"] == pytest.approx((2 / 3 + 1) / 2)
    assert figures["all"]["folds"]["recall"]["a"] == {
        "n": 1,
        "mean": 0.5,
        "sd": None,
        "low": None,
        "high": None,
    }
    assert figures["speech"]["pooled"]["accuracy"] == 1
    assert (figures["song"]["clips"], figures["song"]["pooled"]["accuracy"]) == (1, 0)


def test_each_fold_keeps_its_own_threshold_and_is_judged_by_the_other_emotion(
    outcomes: list[FoldResult],
) -> None:
    (figures,) = open_set(outcomes)["thresholds"]
    assert figures["judged_on"] == ["v"]
    assert figures["coverage"] == 3 / 4  # 0.9 and 0.8 of the first fold, 0.6 of the second
    assert figures["accepted_accuracy"] == pytest.approx(2 / 3)
    assert figures["unknown_let_through"] == pytest.approx(1 / 3)  # 0.65, not 0.6 and 0.51; 0.95 is of u
    assert figures["non_speech_let_through"] == 0.5
    assert (figures["value"]["mean"], figures["reached_in"], figures["folds"]) == (pytest.approx(0.65), 2, 2)


def test_known_and_unknown_are_told_apart_over_all_folds(outcomes: list[FoldResult]) -> None:
    figures = open_set(outcomes)["scores"]["top probability"]
    # Known 0.9, 0.8, 0.7, 0.6 against unknown 0.95, 0.6, 0.65, 0.51.
    assert figures["unknown"]["auroc"] == pytest.approx((0 + 3.5 + 3 + 4) / 16)
    assert figures["by_emotion"]["u"]["auroc"] == 0
    # With the unknown ones as wrong, from the surest: wrong, right, wrong, right, then others.
    assert figures["risk_coverage"]["known_and_unknown"]["coverage_at_10%_risk"] == 0


def test_a_fold_whose_choosers_never_acted_the_emotion_has_no_part_in_its_threshold(
    outcomes: list[FoldResult],
) -> None:
    outcomes[0].facts.thresholds.clear()
    (figures,) = open_set(outcomes)["thresholds"]
    assert (figures["folds"], figures["coverage"], figures["unknown_let_through"]) == (1, 1, 0.5)


def test_a_spread_is_that_of_students_t() -> None:
    figures = spread([0.6, 0.7, 0.8])
    assert figures is not None
    assert (figures["mean"], figures["sd"]) == (pytest.approx(0.7), pytest.approx(0.1))
    assert figures["high"] - figures["mean"] == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert spread([]) is None


def test_an_outcome_is_read_as_it_was_written(outcomes: list[FoldResult], tmp_path: Path) -> None:
    outcomes[0].write(tmp_path)
    again = FoldResult.read(tmp_path, "one")
    assert again is not None
    assert again.facts == outcomes[0].facts
    assert again.parts.keys() == outcomes[0].parts.keys()
    assert np.array_equal(again.parts["test"].logits, outcomes[0].parts["test"].logits)
    assert again.parts["test"].channels.tolist() == ["speech", "song", "speech"]
    assert FoldResult.read(tmp_path, "two") is None
