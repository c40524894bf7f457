"""The recipe of v8: MLPs over a recording as a whole and a convolutional network over its frames, joined.

No epoch and no setting is selected by clips, so all clips of the training side train; docs/decisions/013 says
by what the settings were compared. Temperature and thresholds come from a cross-validation of the same
recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from typing import Any

import numpy as np

from shared.audio.features import Floats
from shared.audio.spec import EncodedSpec, VoiceSpec
from shared.models.data.audio_data import Progress
from shared.models.data.folds import Fold, Indices
from shared.models.metrics.calibration import Logits, Values
from shared.models.serving.backend import load_keras
from shared.models.training import mlps, tcn
from shared.models.training.baseline import TrainingConfig
from shared.models.training.distance import NEAR, DistanceShrinkage
from shared.models.training.ensemble_network import BEYOND, DISTANCE, EnsembleLayers, assembled
from shared.models.training.fit_result import (
    FitResult,
    Fits,
    Outputs,
    ValidationOutputs,
    fit_result,
    temperature_of,
)
from shared.models.training.fold_data import FoldData
from shared.models.training.training_set import TrainingSet

# Of the joined logits, what the MLPs have: with an encoder they are better than the convolutions, without
# one they are worse (decisions 006 and 013).
WITH_ENCODER, WITHOUT = 0.5, 0.3
# The steepness of the shrinkage where there is no foreign corpus to fit it: that of v8.
DEFAULT_STEEPNESS = 2.0
BATCH_CLIPS = 256
KEYED_BY = 64  # numbers of each copy that identify it

Distances = Callable[[Floats], Values]


def share_of_mlps(spec: VoiceSpec) -> float:
    """The share of the MLPs in the joined logits, for networks with these features."""
    return WITH_ENCODER if isinstance(spec, EncodedSpec) else WITHOUT


def train_ensemble(
    fold_data: FoldData,
    config: TrainingConfig,
    report: Progress,
    fits: Fits | None = None,
    *,
    spec: VoiceSpec,
) -> FitResult:
    """Fit on the whole training part, and choose temperature and thresholds by cross-validation.

    Args:
        fold_data: the training side of a fold.
        config: seed and epochs.
        report: called as report("training", done, total).
        fits: results of trainings that folds have in common; used, and added to.
        spec: the network's features, which are the beginning of the fold's rows.
    """
    fits = {} if fits is None else fits
    done = count(1)
    epochs = (config.epochs or mlps.EPOCHS) + (config.epochs or tcn.EPOCHS)
    total = (1 + len(fold_data.fold.cross_validation)) * epochs

    def advance() -> None:
        report("training", next(done), total)

    def fitted(train: Indices) -> tuple[Any, dict[str, list[float]]]:
        return fit_ensemble(TrainingSet(fold_data, train, spec), config, advance)

    def validated(part: Fold) -> ValidationOutputs:
        key = _key(fold_data, part.train, config)
        if key in fits:
            for _ in range(epochs):
                advance()
            answers = fits.pop(key)
        else:
            answers = fits[key] = _answers(fitted(part.train)[0])
        return ValidationOutputs.of(fold_data, part, *answers)

    validation = [validated(part) for part in fold_data.fold.cross_validation]
    network, history = fitted(fold_data.fold.train)
    if len(fold_data.fold.validation):
        validation.append(ValidationOutputs.of(fold_data, fold_data.fold, *_answers(network)))
    together = with_shrinkage(
        network, ValidationOutputs.together(validation, n_outputs=len(fold_data.labels))
    )
    return fit_result(fold_data, network, together, history, best_epoch=len(history["loss"]))


def _key(fold_data: FoldData, train: Indices, config: TrainingConfig) -> bytes:
    """Identifies a training: the same recordings in the same order, in whichever fold.

    Five folds have ten trainings in common, each of two folds.
    """
    what = (
        fold_data.clips.twins[train].tolist(),
        fold_data.clips.emotions[train].tolist(),
        config.seed,
        config.epochs,
    )
    digest = hashlib.sha256(repr((asdict(fold_data.spec), *what)).encode())
    # Twins are alike, but not their copies, which go by path.
    digest.update(fold_data.copies[:, train, :KEYED_BY].tobytes())
    return digest.digest()


def _answers(network: Any) -> tuple[Logits, Distances]:
    """Functions that compute the logits of a joined network, and distances from its training data."""
    keras = load_keras()
    measure = keras.Model(network.inputs[0], network.get_layer(DISTANCE).output)
    width = network.input_shape[-1]  # of a fold's rows; of the rest it may have had hints

    def distances(rows: Floats) -> Values:
        batches = (rows[start : start + BATCH_CLIPS, :width] for start in range(0, len(rows), BATCH_CLIPS))
        found = [np.asarray(measure(batch, training=False), np.float64)[:, 0] for batch in batches]
        return np.concatenate([np.empty(0), *found])

    return Logits(network), distances


def with_shrinkage(network: Any, validation: ValidationOutputs) -> ValidationOutputs:
    """Fit the shrinkage of logits by distance on the validation, and apply it.

    Args:
        network: the joined network, whose layer gets the shrinkage.
        validation: outputs without shrinkage.

    Returns:
        The outputs with shrinkage.
    """
    own = ~validation.known.is_foreign
    if not own.any():
        return validation
    near = float(np.quantile(validation.known.distances[own], NEAR))
    shrinkage = DistanceShrinkage(near, DEFAULT_STEEPNESS)
    if not own.all():
        foreign = validation.known.only(~own)
        shrinkage = DistanceShrinkage.fit(
            foreign.logits, validation.classes[~own], foreign.distances, near, temperature_of(validation)
        )
    network.get_layer(BEYOND).set_weights(
        [np.array([[shrinkage.steepness]]), np.array([-shrinkage.steepness * shrinkage.near])]
    )

    def shrunk(outputs: Outputs) -> Outputs:
        return replace(outputs, logits=outputs.logits * shrinkage(outputs.distances)[:, np.newaxis])

    return replace(validation, known=shrunk(validation.known), unknown=shrunk(validation.unknown))


def fit_ensemble(
    training_set: TrainingSet, config: TrainingConfig, advance: Callable[[], None]
) -> tuple[Any, dict[str, list[float]]]:
    """Train the members and join them.

    The same seed gives the same weights on the same machine.

    Args:
        training_set: what is trained on.
        config: seed and epochs.
        advance: called after each epoch.

    Returns:
        The joined network, and the loss of its convolutional member by epoch.
    """
    mlp_members, _ = mlps.fit_mlps(training_set, config.epochs, config.seed, advance)
    convolutional, losses = tcn.fit_tcn(training_set, config.epochs, config.seed, advance)
    # A copy: the next training begins in the same network.
    own = tcn.build_tcn(
        training_set.spec.frames, training_set.spec.descriptors, training_set.n_outputs, training_set.n_hints
    )
    own.set_weights(convolutional.get_weights())
    return joined(mlp_members, own, training_set), {"loss": losses}


def joined(mlp_members: Any, convolutional: Any, training_set: TrainingSet) -> Any:
    """A trained ensemble as one network.

    It standardises by the scales of the training set; the batch normalisation of the MLPs has become part of
    their weights. Its logits are the mean of the MLPs' logits with the weight `share_of_mlps`, and those of
    the convolutional network with the rest.

    Args:
        mlp_members: the trained MLPs.
        convolutional: the trained convolutional network.
        training_set: what they were trained on.

    Returns:
        A Keras network from features (n, *spec.shape) to probabilities (n, n_outputs).
    """
    keras = load_keras()
    spec = training_set.spec
    share = share_of_mlps(spec)
    last = convolutional.get_layer(tcn.HEAD)
    heads, constants = mlp_members.get_layer("head").get_weights()
    kernel, constant = last.get_weights()
    layers = [mlps.folded(mlp_members, number) for number in (1, 2)]
    return assembled(
        EnsembleLayers(
            spec,
            training_set.of_whole,
            training_set.of_frames,
            training_set.directions,
            members=tuple(
                tuple((kernels[member], biases[member]) for kernels, biases in layers)
                for member in range(len(heads))
            ),
            convolutions=keras.Model(convolutional.inputs[0], last.input),
            kernel=np.concatenate([*(heads * share / len(heads)), kernel * (1 - share)]),
            bias=constants.mean(axis=0) * share + constant * (1 - share),
        )
    )
