"""The metrics of a protocol from the results of its folds, as one JSON document.

Pooled metrics are over the clips of all folds and seeds together, each fold's scores by its own temperature.
Mean, standard deviation and a 95 % interval (Student's t) are over the folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shared.models.data.folds import Words
from shared.models.evaluation.fold_results import FoldResult, Part
from shared.models.metrics.calibration import SCORES, Reliability, Values
from shared.models.metrics.scores import average_recall, detection
from shared.models.metrics.scores import scores as classification
from shared.models.serving.rejection import RiskCoverage

TOP = "top probability"
CHANNELS = "speech", "song"
RISKS = 0.05, 0.10
Booleans = NDArray[np.bool_]
Document = dict[str, Any]


def closed_set(results: Sequence[FoldResult]) -> Document:
    """How well known emotions are classified: of all clips, and of speech and song where names say which."""
    metrics: Document = {"all": _classified(results)}
    for channel in CHANNELS:
        within = [result.only(channel) for result in results]
        if within := [result for result in within if len(result.parts[Part.TEST].paths)]:
            metrics[channel] = _classified(within)
    return metrics


def _classified(results: Sequence[FoldResult]) -> Document:
    labels = results[0].facts.labels
    truths = [result.classes(Part.TEST) for result in results]
    guesses = [result.parts[Part.TEST].logits.argmax(axis=1) for result in results]
    pairs = list(zip(truths, guesses, strict=True))
    truth, guess = np.concatenate(truths), np.concatenate(guesses)
    confidences, is_right = pooled(results, Part.TEST, TOP), truth == guess
    plain = [result.parts[Part.TEST].logits for result in results]
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


def open_set(results: Sequence[FoldResult]) -> Document:
    """How well known emotions are separated from unknown ones, and from sounds without a voice."""
    return {
        "scores": {score: _detected(results, score) for score in SCORES},
        "thresholds": [_accepted(results, *key) for key in dict.fromkeys(_keys(results))],
    }


def _detected(results: Sequence[FoldResult], score: str) -> Document:
    known, unknown, non_speech = (
        pooled(results, part, score) for part in (Part.TEST, Part.UNKNOWN, Part.NON_SPEECH)
    )
    emotions, kinds = (emotions_of(results, part) for part in (Part.UNKNOWN, Part.NON_SPEECH))
    is_right = right(results)
    with_unknown = np.concatenate([is_right, np.zeros(len(unknown), bool)])
    curves = {
        "known": RiskCoverage.of(known, is_right),
        "known_and_unknown": RiskCoverage.of(np.concatenate([known, unknown]), with_unknown),
    }
    each = (detection(one.scores(Part.TEST, score), one.scores(Part.UNKNOWN, score)) for one in results)
    by_fold = [fold for fold in each if fold is not None]
    return {
        "unknown": detection(known, unknown),
        "unknown_folds": {name: spread([fold[name] for fold in by_fold]) for name in ("auroc", "fpr95")},
        "by_emotion": {
            emotion: detection(known, unknown[emotions == emotion])
            for emotion in np.unique(emotions).tolist()
        },
        "non_speech": detection(known, non_speech),
        "by_kind": {kind: detection(known, non_speech[kinds == kind]) for kind in np.unique(kinds).tolist()},
        "risk_coverage": {
            name: {
                "aurc": curve.area,
                **{f"coverage_at_{risk:.0%}_risk": curve.coverage_at(risk) for risk in RISKS},
            }
            for name, curve in curves.items()
        },
    }


def _accepted(results: Sequence[FoldResult], set_on: str, rule: str, score: str) -> Document:
    """What the folds' own thresholds accept, tested on emotions that they were not set on.

    Folds whose validation lacks the emotion have no such threshold and are left out.
    """
    with_threshold = [
        (result, threshold)
        for result in results
        for threshold in result.facts.thresholds
        if (threshold.set_on, threshold.rule, threshold.score) == (set_on, rule, score)
    ]
    tested = [result for result, _ in with_threshold]

    def passes(part: Part) -> Booleans:
        return np.concatenate(
            [one.scores(part, score) >= threshold.value for one, threshold in with_threshold]
        )

    known, emotions = passes(Part.TEST), emotions_of(tested, Part.UNKNOWN)
    others = emotions != set_on
    return {
        "rule": rule,
        "score": score,
        "set_on": set_on,
        "judged_on": np.unique(emotions[others]).tolist(),
        "value": spread([threshold.value for _, threshold in with_threshold]),
        "reached_in": sum(threshold.is_reached for _, threshold in with_threshold),
        "folds": len(with_threshold),
        "coverage": float(known.mean()),
        "accepted_accuracy": share(right(tested)[known]),
        "unknown_let_through": share(passes(Part.UNKNOWN)[others]),
        "non_speech_let_through": share(passes(Part.NON_SPEECH)),
    }


def _keys(results: Sequence[FoldResult]) -> list[tuple[str, str, str]]:
    thresholds = (threshold for result in results for threshold in result.facts.thresholds)
    return [(threshold.set_on, threshold.rule, threshold.score) for threshold in thresholds]


def pooled(results: Sequence[FoldResult], part: Part, score: str) -> Values:
    """A score of the clips of all folds, one fold after another."""
    return np.concatenate([result.scores(part, score) for result in results])


def emotions_of(results: Sequence[FoldResult], part: Part) -> Words:
    """The emotions of the clips of all folds, in the order of `pooled`."""
    return np.concatenate([result.parts[part].emotions for result in results])


def right(results: Sequence[FoldResult]) -> Booleans:
    """Whether each test clip of all folds is classified rightly, in the order of `pooled`."""
    return np.concatenate(
        [result.parts[Part.TEST].logits.argmax(axis=1) == result.classes(Part.TEST) for result in results]
    )


def share(are: Booleans) -> float | None:
    """The share of true values; None for no values."""
    return float(are.mean()) if len(are) else None


def spread(values: Sequence[float]) -> Document | None:
    """Mean, standard deviation (of a sample) and 95 % interval of the mean; None for no values."""
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"n": len(values), "mean": mean, "sd": None, "low": None, "high": None}
    sd = float(np.std(values, ddof=1))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * sd / len(values) ** 0.5
    return {"n": len(values), "mean": mean, "sd": sd, "low": mean - reach, "high": mean + reach}
