"""Temperature, reliability and the scores that tell known from unknown, against worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss, roc_auc_score

from shared.models.metrics.calibration import SCORES, Logits, Reliability, fit_temperature
from shared.models.metrics.scores import average_recall, detection
from shared.models.training.baseline import build_classifier


def test_the_softmax_of_the_logits_is_what_the_network_says() -> None:
    network = build_classifier((32, 94, 2), 3)
    clips = np.random.default_rng(0).normal(0, 1, (5, 32, 94, 2)).astype(np.float32)
    logits = Logits(network)(clips)
    assert softmax(logits, axis=1) == pytest.approx(network.predict(clips, verbose=0), abs=1e-6)
    assert Logits(network)(clips[:0]).shape == (0, 3)


def test_the_calibration_error_equals_the_worked_example() -> None:
    # Bins of a fifteenth: 0.95 and 0.99 share the last one (mean 0.97, half of them right), 0.5 is alone and
    # right, 1/15 closes the first bin and is wrong.
    reliability = Reliability.of(np.array([0.95, 0.99, 0.5, 1 / 15]), np.array([True, False, True, False]))
    assert reliability.counts.tolist() == [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2]
    assert reliability.error == pytest.approx((2 * 0.47 + 0.5 + 1 / 15) / 4)


def test_a_confidence_that_is_always_kept_has_no_error() -> None:
    assert Reliability.of(np.ones(10), np.ones(10, bool)).error == 0
    assert Reliability.of(np.zeros(10), np.zeros(10, bool)).error == 0


def test_the_temperature_undoes_a_known_overconfidence() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (4000, 4))
    chances = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    classes = (rng.random((4000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(3 * honest, classes) == pytest.approx(3, rel=0.06)


def test_no_other_temperature_has_a_lower_loss() -> None:
    rng = np.random.default_rng(1)
    logits, classes = rng.normal(0, 1, (200, 3)), rng.integers(0, 3, 200)
    logits[np.arange(200), classes] += 1

    def loss(temperature: float) -> float:
        chances = np.exp(logits / temperature)
        return float(log_loss(classes, chances / chances.sum(axis=1, keepdims=True)))

    best = fit_temperature(logits, classes)
    assert loss(best) <= min(loss(temperature) for temperature in np.linspace(0.1, 10, 200)) + 1e-6


def test_the_scores_equal_the_worked_example() -> None:
    logits = np.log([[1.0, 2.0, 5.0]])
    assert SCORES["top probability"](logits, 1.0, 3) == pytest.approx(5 / 8)
    assert SCORES["top probability"](logits, 0.5, 3) == pytest.approx(25 / 30)
    assert SCORES["max logit"](logits, 0.5, 3) == pytest.approx(np.log(5))
    assert SCORES["energy"](logits, 0.5, 3) == pytest.approx(np.log(8))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert SCORES["negative entropy"](logits, 0.5, 3) == pytest.approx((shares * np.log(shares)).sum(axis=1))


def test_detection_equals_the_worked_example_and_scikit_learn() -> None:
    known, unknown = np.arange(1, 21) / 20, np.array([0.01, 0.07, 0.5, 1.5])
    # 19 of the 20 known clips are at 0.10 or above, and there 2 of the 4 unknown ones.
    figures = detection(known, unknown)
    assert figures is not None
    assert figures["fpr95"] == 0.5
    truth, scores = [1] * 20 + [0] * 4, [*known, *unknown]
    assert figures["auroc"] == roc_auc_score(truth, scores)
    assert figures["auroc"] == pytest.approx((20 + 19 + 10.5 + 0) / 80)


def test_nothing_is_detected_where_there_is_nothing_unknown() -> None:
    assert detection(np.arange(3.0), np.empty(0)) is None


def test_the_average_recall_is_over_the_classes_that_there_are() -> None:
    # Class 0: 3 of 4; class 1: 1 of 1; class 2 is only ever predicted.
    assert average_recall(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 2, 1])) == pytest.approx(0.875)
