"""The data that a fold may train on, and the result: weights, temperature and thresholds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from shared.audio.features import Floats
from shared.models.data.folds import Fold, Indices, Words
from shared.models.metrics.calibration import SCORES, Logits, Threshold, Values, fit_temperature
from shared.models.serving.rejection import baseline_threshold, risk_threshold
from shared.models.training.fold_data import FoldData, Mask

TOP = "top probability"
# Of trainings that folds have in common, by what they were fitted on: logits and distances; 20 MB each.
Fits = dict[bytes, tuple[Logits, Callable[[Floats], Values]]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What networks compute for some clips and their copies.

    Attributes:
        logits: shape (n, outputs).
        is_copy: whether it is of a copy, shape (n,).
        foreign: the name of a corpus that the network was not trained on; empty for the clips of its own
            corpora, shape (n,).
        distances: from the training data (shared.models.training.distance), 0 where they are not known, shape
            (n,).
    """

    logits: Values
    is_copy: Mask
    foreign: Words
    distances: Values

    @property
    def is_foreign(self) -> Mask:
        """Whether each clip is of a foreign corpus, shape (n,)."""
        return np.asarray(self.foreign != "")

    def __len__(self) -> int:
        """The number of outputs."""
        return len(self.logits)

    def only(self, chosen: Mask) -> Self:
        """Those outputs for which `chosen`, shape (n,), is true."""
        return type(self)(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @classmethod
    def together(cls, parts: Sequence[Self], n_outputs: int) -> Self:
        """The outputs of several parts; empty for no parts.

        Args:
            parts: the outputs.
            n_outputs: the width of the logits.
        """
        nothing = cls(np.empty((0, n_outputs)), np.empty(0, bool), np.empty(0, np.str_), np.empty(0))
        fields = ([getattr(part, name) for part in (nothing, *parts)] for name in cls.__dataclass_fields__)
        return cls(*(np.concatenate(values) for values in fields))


@dataclass(frozen=True, slots=True)
class ValidationOutputs:
    """The outputs of the validation.

    Attributes:
        known: of n clips of known emotions.
        classes: of these, shape (n,).
        unknown: of m clips of unknown emotions.
        unknown_emotions: of these, shape (m,).
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
        """The outputs of a network for the validation of a part.

        Args:
            fold_data: the data of the fold.
            part: whose validation is taken.
            logits: of the network.
            distances: from its training data, if it has them.
        """
        versions = fold_data.features, *fold_data.copies
        is_foreign = fold_data.clips.is_foreign

        def outputs_of(clips: Indices) -> Outputs:
            rows_of_versions = [version[clips] for version in versions]
            return Outputs(
                np.concatenate([logits(rows) for rows in rows_of_versions]),
                is_copy=np.repeat(np.arange(len(rows_of_versions)) > 0, len(clips)),
                foreign=np.tile(
                    np.where(is_foreign, fold_data.clips.corpora, "")[clips], len(rows_of_versions)
                ),
                distances=np.concatenate(
                    [distances(rows) if distances else np.zeros(len(rows)) for rows in rows_of_versions]
                ),
            )

        return cls(
            outputs_of(part.validation),
            np.tile(fold_data.classes(part.validation), len(versions)),
            outputs_of(part.unknown_validation),
            np.tile(fold_data.clips.emotions[part.unknown_validation], len(versions)),
        )

    @classmethod
    def together(cls, parts: Sequence[Self], n_outputs: int) -> Self:
        """The outputs of all parts; empty for no parts.

        Args:
            parts: the outputs.
            n_outputs: the width of the logits.
        """
        return cls(
            Outputs.together([part.known for part in parts], n_outputs),
            np.concatenate([np.empty(0, np.int64), *(part.classes for part in parts)]),
            Outputs.together([part.unknown for part in parts], n_outputs),
            np.concatenate([np.empty(0, np.str_), *(part.unknown_emotions for part in parts)]),
        )


@dataclass(frozen=True, slots=True)
class FitResult:
    """Everything that the training of a fold results in.

    Attributes:
        network: in Keras.
        logits: computes its logits.
        temperature: that its logits are to be divided by.
        threshold: by the rule risk on all clips of the validation; nan without validation.
        is_reached: whether that threshold reaches its target.
        thresholds: by each rule on each unknown emotion.
        validation: the outputs that temperature and thresholds come from.
        history: of the fit, by epoch.
        epochs: how many were trained.
        best_epoch: whose weights the network has.
        train_accuracy: on the training part.
        digest: SHA-256 of weights, epoch, temperature and thresholds.
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
    """Complete a fitted network with temperature and thresholds; the temperature is 1 without validation.

    Args:
        fold_data: the data of the fold.
        network: the fitted network.
        validation: its outputs, or those of the cross-validation.
        history: of the fit, by epoch.
        best_epoch: whose weights the network has.
    """
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
    """The temperature for clips of the network's own corpora and their copies; 1 without validation."""
    own = ~validation.known.is_foreign
    return fit_temperature(validation.known.logits[own], validation.classes[own]) if own.any() else 1.0


def _threshold(validation: ValidationOutputs, temperature: float, n_labels: int) -> tuple[float, bool]:
    if not len(validation.classes):
        return float("nan"), False
    known, unknown = (
        SCORES[TOP](outputs.logits, temperature, n_labels)
        for outputs in (validation.known, validation.unknown)
    )
    right = validation.known.logits.argmax(axis=1) == validation.classes
    return risk_threshold(np.append(known, unknown), np.append(right, np.zeros(len(unknown), bool)))


def _thresholds(validation: ValidationOutputs, temperature: float, n_labels: int) -> list[Threshold]:
    """Thresholds by each rule on each unknown emotion; an answer to an unknown emotion is never right."""
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
    value, unclipped = baseline_threshold(SCORES[TOP](unknown, temperature, n_labels))
    found = [Threshold(set_on=emotion, rule="seed", score=TOP, value=value, is_reached=unclipped == value)]
    known = validation.known.logits
    right = np.concatenate([known.argmax(axis=1) == validation.classes, np.zeros(len(unknown), bool)])
    for score, of in SCORES.items():
        values = np.concatenate([of(logits, temperature, n_labels) for logits in (known, unknown)])
        value, is_reached = risk_threshold(values, right)
        found.append(Threshold(set_on=emotion, rule="risk", score=score, value=value, is_reached=is_reached))
    return found
