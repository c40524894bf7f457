"""What a fold may learn from, and what it learns: weights, temperature and thresholds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shared.audio.features import Floats
from shared.audio.spec import FeatureSpec
from shared.models.data.audio_data import AudioData
from shared.models.data.folds import Clips, Fold, Indices, Words
from shared.models.metrics.calibration import SCORES, Logits, Threshold, Values, fit_temperature
from shared.models.serving.rejection import risk_threshold, seed_threshold

Mask = NDArray[np.bool_]
TOP = "top probability"
# Of trainings that folds have in common, by what they were fitted on: logits and distances; 20 MB each.
Fits = dict[bytes, tuple[Logits, Callable[[Floats], Values]]]


@dataclass(frozen=True, slots=True)
class FoldData:
    """The learning side of a fold and nothing else: so no statistic, epoch, temperature or threshold can
    come from what judges.

    features: (n, *shape); copies: (draws, n, *shape), of the same as life makes them; fold: its indices
    are of these n clips, and nobody judges in it; labels: the emotions to learn, sorted; asked: (n, labels),
    which of them a clip's corpus has.
    """

    spec: FeatureSpec
    features: Floats
    copies: NDArray[np.float16]
    clips: Clips
    fold: Fold
    labels: list[str]
    asked: Mask

    @classmethod
    def of(cls, data: AudioData, clips: Clips, fold: Fold) -> Self:
        """What `fold` lets be learnt of all that was read."""
        learns = np.unique(
            np.concatenate(
                [
                    part
                    for one in (fold, *fold.cross_validation)
                    for part in (one.train, one.validation, one.unknown_validation)
                ]
            )
        )
        # A slice is no copy, and where everyone learns there is nothing to leave out.
        where = slice(None) if len(learns) == len(data.features) else learns
        labels = np.unique(clips.emotions[fold.train]).tolist()
        return cls(
            data.spec,
            features=data.features[where],
            copies=data.copies[:, where],
            clips=clips.only(learns),
            fold=_among(learns, fold),
            labels=labels,
            asked=_asked(labels, clips.emotions[learns], clips.corpora[learns]),
        )

    def classes(self, indices: Indices) -> Indices:
        """The classes of clips of known emotions, (n,), indices of `labels`."""
        return np.searchsorted(self.labels, self.clips.emotions[indices])


def _asked(labels: list[str], emotions: Words, corpora: Words) -> Mask:
    """(n, labels): a corpus has an emotion if a clip of it is labelled so."""
    asked = np.zeros((len(emotions), len(labels)), bool)
    for corpus in np.unique(corpora):
        asked[corpora == corpus] = np.isin(labels, emotions[corpora == corpus])
    return asked


def _among(learns: Indices, fold: Fold) -> Fold:
    nobody = np.empty(0, np.int64)
    return replace(
        fold,
        train=np.searchsorted(learns, fold.train),
        validation=np.searchsorted(learns, fold.validation),
        unknown_validation=np.searchsorted(learns, fold.unknown_validation),
        test=nobody,
        unknown=nobody,
        cross_validation=tuple(_among(learns, part) for part in fold.cross_validation),
    )


@dataclass(frozen=True, slots=True)
class Outputs:
    """What networks said to some clips, as they are and as life makes them. All (n,), logits (n, outputs).

    is_copy: as life makes it; foreign: the name of a corpus of which the network heard nothing, empty for a
    clip of its own; distances: from all that the network learnt from (shared.models.training.distance), 0
    where it does not say.
    """

    logits: Values
    is_copy: Mask
    foreign: Words
    distances: Values

    @property
    def is_foreign(self) -> Mask:
        return np.asarray(self.foreign != "")

    def __len__(self) -> int:
        return len(self.logits)

    def only(self, chosen: Mask) -> Self:
        return type(self)(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @classmethod
    def together(cls, parts: Sequence[Self], n_outputs: int) -> Self:
        """Of no parts, nothing."""
        nothing = cls(np.empty((0, n_outputs)), np.empty(0, bool), np.empty(0, np.str_), np.empty(0))
        fields = ([getattr(part, name) for part in (nothing, *parts)] for name in cls.__dataclass_fields__)
        return cls(*(np.concatenate(values) for values in fields))


@dataclass(frozen=True, slots=True)
class ValidationOutputs:
    """What those who choose were told: clips of known emotions with their classes (n,), and clips of unknown
    emotions with these (m,).
    """

    known: Outputs
    classes: Indices
    unknown: Outputs
    unknown_emotions: Words

    @classmethod
    def of(
        cls,
        fold_data: FoldData,
        part: Fold,
        logits: Logits,
        distances: Callable[[Floats], Values] | None = None,
    ) -> Self:
        """What a part's choosers are told."""
        versions = fold_data.features, *fold_data.copies
        is_foreign = fold_data.clips.is_foreign

        def told(clips: Indices) -> Outputs:
            heard = [version[clips] for version in versions]
            return Outputs(
                np.concatenate([logits(rows) for rows in heard]),
                is_copy=np.repeat(np.arange(len(heard)) > 0, len(clips)),
                foreign=np.tile(np.where(is_foreign, fold_data.clips.corpora, "")[clips], len(heard)),
                distances=np.concatenate(
                    [distances(rows) if distances else np.zeros(len(rows)) for rows in heard]
                ),
            )

        return cls(
            told(part.validation),
            np.tile(fold_data.classes(part.validation), len(versions)),
            told(part.unknown_validation),
            np.tile(fold_data.clips.emotions[part.unknown_validation], len(versions)),
        )

    @classmethod
    def together(cls, parts: Sequence[Self], n_outputs: int) -> Self:
        """What all parts were told; of no parts, nothing."""
        return cls(
            Outputs.together([part.known for part in parts], n_outputs),
            np.concatenate([np.empty(0, np.int64), *(part.classes for part in parts)]),
            Outputs.together([part.unknown for part in parts], n_outputs),
            np.concatenate([np.empty(0, np.str_), *(part.unknown_emotions for part in parts)]),
        )


@dataclass(frozen=True, slots=True)
class FitResult:
    """All that a fold learns or chooses.

    threshold: by the rule risk, on all clips of those who choose, and is_reached whether there is one; nan
    and False where nobody does; thresholds: by each rule on each unknown emotion; history: of the fit, by
    epoch; digest: SHA-256 of weights, epoch, temperature and thresholds.
    """

    network: Any
    logits: Logits
    temperature: float
    threshold: float
    is_reached: bool
    thresholds: list[Threshold]
    validation: ValidationOutputs
    history: dict[str, list[float]]
    epochs: int
    best_epoch: int
    train_accuracy: float
    digest: str


def fit_result(
    fold_data: FoldData,
    network: Any,
    validation: ValidationOutputs,
    history: dict[str, list[float]],
    best_epoch: int,
) -> FitResult:
    """A fitted network with what those who choose make of it; a temperature of 1 where nobody does."""
    logits = Logits(network)
    temperature = temperature_of(validation)
    threshold, is_reached = _threshold(validation, temperature, len(fold_data.labels))
    thresholds = _thresholds(validation, temperature, len(fold_data.labels))
    digest = hashlib.sha256()
    for weights in network.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    digest.update(repr((best_epoch, temperature, thresholds)).encode())
    train = fold_data.fold.train
    predicted = logits(fold_data.features[train]).argmax(axis=1)
    return FitResult(
        network,
        logits,
        temperature,
        threshold,
        is_reached,
        thresholds,
        validation,
        history,
        epochs=len(history["loss"]),
        best_epoch=best_epoch,
        train_accuracy=float((predicted == fold_data.classes(train)).mean()),
        digest=digest.hexdigest(),
    )


def temperature_of(validation: ValidationOutputs) -> float:
    """That of the clips of the network's own corpus, as they are and as life makes them; 1 where nobody
    chooses.
    """
    own = ~validation.known.is_foreign
    return fit_temperature(validation.known.logits[own], validation.classes[own]) if own.any() else 1.0


def _threshold(validation: ValidationOutputs, temperature: float, n_labels: int) -> tuple[float, bool]:
    if not len(validation.classes):
        return float("nan"), False
    known, unknown = (
        SCORES[TOP](told.logits, temperature, n_labels) for told in (validation.known, validation.unknown)
    )
    right = validation.known.logits.argmax(axis=1) == validation.classes
    return risk_threshold(np.append(known, unknown), np.append(right, np.zeros(len(unknown), bool)))


def _thresholds(validation: ValidationOutputs, temperature: float, n_labels: int) -> list[Threshold]:
    """By each rule and on each unknown emotion; an unknown emotion's clip is never right."""
    emotions: Sequence[str] = np.unique(validation.unknown_emotions).tolist()
    return [
        threshold
        for emotion in emotions
        for threshold in _set_on(
            emotion,
            validation,
            validation.unknown.logits[validation.unknown_emotions == emotion],
            temperature,
            n_labels,
        )
    ]


def _set_on(
    emotion: str, validation: ValidationOutputs, unknown: Values, temperature: float, n_labels: int
) -> list[Threshold]:
    value, unclipped = seed_threshold(SCORES[TOP](unknown, temperature, n_labels))
    found = [Threshold(set_on=emotion, rule="seed", score=TOP, value=value, is_reached=unclipped == value)]
    known = validation.known.logits
    right = np.concatenate([known.argmax(axis=1) == validation.classes, np.zeros(len(unknown), bool)])
    for score, of in SCORES.items():
        values = np.concatenate([of(logits, temperature, n_labels) for logits in (known, unknown)])
        value, is_reached = risk_threshold(values, right)
        found.append(Threshold(set_on=emotion, rule="risk", score=score, value=value, is_reached=is_reached))
    return found
