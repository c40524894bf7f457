"""The figures of a protocol from the outcomes of its folds, as one JSON document.

Pooled: over the clips of all folds and seeds together, each fold's scores by its own temperature. Mean, sd
and a 95 % interval (Student's t): over the folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shared.models.data.folds import Words
from shared.models.evaluation.fold_results import FoldResult
from shared.models.metrics.calibration import SCORES, Reliability, Values
from shared.models.metrics.scores import average_recall, detection
from shared.models.metrics.scores import scores as classification
from shared.models.serving.rejection import RiskCoverage

TOP = "top probability"
CHANNELS = "speech", "song"
RISKS = 0.05, 0.10
Booleans = NDArray[np.bool_]
Figures = dict[str, Any]


def closed_set(outcomes: Sequence[FoldResult]) -> Figures:
    """How well known emotions are told apart: of all clips, and of speech and of song where names say so."""
    figures: Figures = {"all": _classified(outcomes)}
    for channel in CHANNELS:
        within = [outcome.only(channel) for outcome in outcomes]
        if within := [outcome for outcome in within if len(outcome.parts["test"].paths)]:
            figures[channel] = _classified(within)
    return figures


def _classified(outcomes: Sequence[FoldResult]) -> Figures:
    labels = outcomes[0].finding.labels
    truths = [outcome.classes("test") for outcome in outcomes]
    guesses = [outcome.parts["test"].logits.argmax(axis=1) for outcome in outcomes]
    pairs = list(zip(truths, guesses, strict=True))
    truth, guess = np.concatenate(truths), np.concatenate(guesses)
    confidences, is_right = pooled(outcomes, "test", TOP), truth == guess
    plain = [outcome.parts["test"].logits for outcome in outcomes]
    curve = RiskCoverage.of(confidences, is_right)
    return {
        "clips": len(truth),
        "pooled": {
            **classification(truth, guess, labels),
            "uar": average_recall(truth, guess),
            "no_voice": float((guess == len(labels)).mean()),
            "ece": Reliability.of(confidences, is_right).error,
            "ece_uncalibrated": Reliability.of(
                SCORES[TOP](np.concatenate(plain), 1.0, len(labels)), is_right
            ).error,
            "aurc": curve.area,
            **{f"coverage_at_{risk:.0%}_risk": curve.coverage_at(risk) for risk in RISKS},
            "accuracy_of_surest_half": 1 - curve.risk_at(0.5),
            "accuracy_of_surest_65%": 1 - curve.risk_at(0.65),
        },
        "folds": {
            "accuracy": spread([float((truth == guess).mean()) for truth, guess in pairs]),
            "uar": spread([average_recall(truth, guess) for truth, guess in pairs]),
            "recall": {
                label: spread(
                    [float((g[t == place] == place).mean()) for t, g in pairs if np.any(t == place)]
                )
                for place, label in enumerate(labels)
            },
        },
    }


def open_set(outcomes: Sequence[FoldResult]) -> Figures:
    """How well known emotions are told from unknown ones, and from sounds without a voice."""
    return {
        "scores": {score: _detected(outcomes, score) for score in SCORES},
        "thresholds": [_accepted(outcomes, *key) for key in dict.fromkeys(_keys(outcomes))],
    }


def _detected(outcomes: Sequence[FoldResult], score: str) -> Figures:
    known, unknown, foreign = (pooled(outcomes, part, score) for part in ("test", "unknown", "non_speech"))
    emotions, kinds = (emotions_of(outcomes, part) for part in ("unknown", "non_speech"))
    is_right = right(outcomes)
    with_unknown = np.concatenate([is_right, np.zeros(len(unknown), bool)])
    curves = {
        "known": RiskCoverage.of(known, is_right),
        "known_and_unknown": RiskCoverage.of(np.concatenate([known, unknown]), with_unknown),
    }
    each = (detection(one.scores("test", score), one.scores("unknown", score)) for one in outcomes)
    by_fold = [fold for fold in each if fold is not None]
    return {
        "unknown": detection(known, unknown),
        "unknown_folds": {name: spread([fold[name] for fold in by_fold]) for name in ("auroc", "fpr95")},
        "by_emotion": {
            emotion: detection(known, unknown[emotions == emotion])
            for emotion in np.unique(emotions).tolist()
        },
        "non_speech": detection(known, foreign),
        "by_kind": {kind: detection(known, foreign[kinds == kind]) for kind in np.unique(kinds).tolist()},
        "risk_coverage": {
            name: {
                "aurc": curve.area,
                **{f"coverage_at_{risk:.0%}_risk": curve.coverage_at(risk) for risk in RISKS},
            }
            for name, curve in curves.items()
        },
    }


def _accepted(outcomes: Sequence[FoldResult], set_on: str, rule: str, score: str) -> Figures:
    """What each fold's own threshold lets through, together; judged by the emotions it was not set on.

    Folds where nobody who chooses acted the emotion have no such threshold, and no part in this.
    """
    held = [
        (outcome, threshold)
        for outcome in outcomes
        for threshold in outcome.finding.thresholds
        if (threshold.set_on, threshold.rule, threshold.score) == (set_on, rule, score)
    ]
    judged = [outcome for outcome, _ in held]

    def passes(part: str) -> Booleans:
        return np.concatenate([one.scores(part, score) >= threshold.value for one, threshold in held])

    known, emotions = passes("test"), emotions_of(judged, "unknown")
    others = emotions != set_on
    return {
        "rule": rule,
        "score": score,
        "set_on": set_on,
        "judged_on": np.unique(emotions[others]).tolist(),
        "value": spread([threshold.value for _, threshold in held]),
        "reached_in": sum(threshold.is_reached for _, threshold in held),
        "folds": len(held),
        "coverage": float(known.mean()),
        "accepted_accuracy": share(right(judged)[known]),
        "unknown_let_through": share(passes("unknown")[others]),
        "non_speech_let_through": share(passes("non_speech")),
    }


def _keys(outcomes: Sequence[FoldResult]) -> list[tuple[str, str, str]]:
    thresholds = (threshold for outcome in outcomes for threshold in outcome.finding.thresholds)
    return [(threshold.set_on, threshold.rule, threshold.score) for threshold in thresholds]


def pooled(outcomes: Sequence[FoldResult], part: str, score: str) -> Values:
    """A score of the clips of all folds, one fold after the other."""
    return np.concatenate([outcome.scores(part, score) for outcome in outcomes])


def emotions_of(outcomes: Sequence[FoldResult], part: str) -> Words:
    """The emotions of the clips of all folds, in the order of `pooled`."""
    return np.concatenate([outcome.parts[part].emotions for outcome in outcomes])


def right(outcomes: Sequence[FoldResult]) -> Booleans:
    """Whether each test clip of all folds is told rightly, in the order of `pooled`."""
    return np.concatenate(
        [outcome.parts["test"].logits.argmax(axis=1) == outcome.classes("test") for outcome in outcomes]
    )


def share(are: Booleans) -> float | None:
    """The share of true ones; None of nothing."""
    return float(are.mean()) if len(are) else None


def spread(values: Sequence[float]) -> Figures | None:
    """Mean, standard deviation (of a sample) and 95 % interval of the mean; None of nothing."""
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"n": len(values), "mean": mean, "sd": None, "low": None, "high": None}
    sd = float(np.std(values, ddof=1))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * sd / len(values) ** 0.5
    return {"n": len(values), "mean": mean, "sd": sd, "low": mean - reach, "high": mean + reach}
