"""What a fold may learn from, and what it learns: weights, temperature and thresholds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shared.audio.features import Floats
from shared.audio.spec import FeatureSpec
from shared.emotion.calibration import SCORES, Logits, Values, fit_temperature
from shared.emotion.datasets import AudioData, channel
from shared.emotion.folds import Clips, Fold, Indices, Words
from shared.emotion.outcomes import Threshold
from shared.emotion.rejection import risk_threshold, seed_threshold

TOP = "top probability"
Fits = dict[bytes, Logits]  # of trainings that folds have in common, by what they were fitted on; 5 MB each


@dataclass(frozen=True, slots=True)
class Lesson:
    """The learning side of a fold and nothing else: so no statistic, epoch, temperature or threshold can
    come from what judges.

    features: (n, *shape); copies: (speeds, n, *shape), the same recordings at other speeds; fold: its
    indices are of these n clips, and nobody judges in it; labels: the emotions to learn, sorted.
    """

    spec: FeatureSpec
    features: Floats
    copies: NDArray[np.float16]
    clips: Clips
    is_song: NDArray[np.bool_]
    fold: Fold
    labels: list[str]

    @classmethod
    def of(cls, data: AudioData, clips: Clips, fold: Fold) -> Self:
        """What `fold` lets be learnt of all that was read."""
        learns = np.unique(
            np.concatenate(
                [part for one in (fold, *fold.crossed) for part in (one.train, one.inner, one.tuning)]
            )
        )
        # A slice is no copy, and where everyone learns there is nothing to leave out.
        where = slice(None) if len(learns) == len(data.features) else learns
        return cls(
            data.spec,
            features=data.features[where],
            copies=data.copies[:, where],
            clips=Clips(clips.emotions[learns], clips.speakers[learns], clips.twins[learns]),
            is_song=np.array([channel(data.examples[index]) == "song" for index in learns], bool),
            fold=_among(learns, fold),
            labels=np.unique(clips.emotions[fold.train]).tolist(),
        )

    def classes(self, indices: Indices) -> Indices:
        """The classes of clips of known emotions, (n,), indices of `labels`."""
        return np.searchsorted(self.labels, self.clips.emotions[indices])


def _among(learns: Indices, fold: Fold) -> Fold:
    nobody = np.empty(0, np.int64)
    return replace(
        fold,
        train=np.searchsorted(learns, fold.train),
        inner=np.searchsorted(learns, fold.inner),
        tuning=np.searchsorted(learns, fold.tuning),
        test=nobody,
        unknown=nobody,
        crossed=tuple(_among(learns, part) for part in fold.crossed),
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """What those who choose were told: logits of known clips (n, outputs) with their classes (n,); logits of
    clips of unknown emotions (m, outputs) with these (m,)."""

    known: Values
    classes: Indices
    unknown: Values
    unknown_emotions: Words

    @classmethod
    def together(cls, parts: Sequence[Self], n_outputs: int) -> Self:
        """What all parts were told; of no parts, nothing."""
        logits, nobody = np.empty((0, n_outputs)), np.empty(0, np.int64)
        nothing = cls(logits, nobody, logits, np.empty(0, np.str_))
        fields = ([getattr(part, name) for part in (nothing, *parts)] for name in cls.__dataclass_fields__)
        return cls(*(np.concatenate(values) for values in fields))


@dataclass(frozen=True, slots=True)
class Learnt:
    """All that a fold learns or chooses. history: of the fit, by epoch; digest: SHA-256 of weights, epoch,
    temperature and thresholds."""

    network: Any
    logits: Logits
    temperature: float
    thresholds: list[Threshold]
    chosen: Chosen
    history: dict[str, list[float]]
    epochs: int
    best_epoch: int
    train_accuracy: float
    digest: str


def learnt(
    lesson: Lesson, network: Any, chosen: Chosen, history: dict[str, list[float]], best_epoch: int
) -> Learnt:
    """A fitted network with what those who choose make of it; a temperature of 1 where nobody does."""
    logits = Logits(network)
    temperature = fit_temperature(chosen.known, chosen.classes) if len(chosen.classes) else 1.0
    thresholds = _thresholds(chosen, temperature, len(lesson.labels))
    digest = hashlib.sha256()
    for weights in network.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    digest.update(repr((best_epoch, temperature, thresholds)).encode())
    train = lesson.fold.train
    predicted = logits(lesson.features[train]).argmax(axis=1)
    return Learnt(
        network,
        logits,
        temperature,
        thresholds,
        chosen,
        history,
        epochs=len(history["loss"]),
        best_epoch=best_epoch,
        train_accuracy=float((predicted == lesson.classes(train)).mean()),
        digest=digest.hexdigest(),
    )


def _thresholds(chosen: Chosen, temperature: float, n_labels: int) -> list[Threshold]:
    """By each rule and on each unknown emotion; an unknown emotion's clip is never right."""
    emotions: Sequence[str] = np.unique(chosen.unknown_emotions).tolist()
    return [
        threshold
        for emotion in emotions
        for threshold in _set_on(
            emotion, chosen, chosen.unknown[chosen.unknown_emotions == emotion], temperature, n_labels
        )
    ]


def _set_on(
    emotion: str, chosen: Chosen, unknown: Values, temperature: float, n_labels: int
) -> list[Threshold]:
    value, unclipped = seed_threshold(SCORES[TOP](unknown, temperature, n_labels))
    found = [Threshold(set_on=emotion, rule="seed", score=TOP, value=value, is_reached=unclipped == value)]
    right = np.concatenate([chosen.known.argmax(axis=1) == chosen.classes, np.zeros(len(unknown), bool)])
    for score, of in SCORES.items():
        values = np.concatenate([of(logits, temperature, n_labels) for logits in (chosen.known, unknown)])
        value, is_reached = risk_threshold(values, right)
        found.append(Threshold(set_on=emotion, rule="risk", score=score, value=value, is_reached=is_reached))
    return found
