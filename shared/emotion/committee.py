"""The recipe of v7: small networks over a voice's statistics and convolutional ones over its frames, joined.

No training chooses its epoch or settings by clips, so all who learn fit; what the settings were compared by
is said in docs/decisions/006. Temperature and thresholds come from the same recipe run crosswise over the
learning speakers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import count
from typing import Any

import numpy as np

from shared.audio.spec import VoiceSpec
from shared.emotion import tcn, towers
from shared.emotion.backend import load_keras
from shared.emotion.calibration import Logits
from shared.emotion.folds import Fold, Indices
from shared.emotion.learning import Chosen, Fits, Learnt, Lesson, learnt
from shared.emotion.material import FARTHEST, Material, Scale
from shared.emotion.training import Recipe, Report

CONVOLUTIONAL = 1
# Of the joined logits: it gained 0.02 on two groups of unheard speakers and cost 0.01 on a third; a half cost
# 0.02 there (decision 006).
SHARE_OF_TOWERS = 1 / 5


def learn_committee(lesson: Lesson, recipe: Recipe, report: Report, fits: Fits | None = None) -> Learnt:
    """Fit on all who learn; temperature and thresholds from the fold's crossed parts, where it has any.

    fits: what other folds' parts have taught, to be taken over and added to.
    """
    fits = {} if fits is None else fits
    done = count(1)
    epochs = (recipe.epochs or towers.EPOCHS) + CONVOLUTIONAL * (recipe.epochs or tcn.EPOCHS)
    total = (1 + len(lesson.fold.crossed)) * epochs

    def advance() -> None:
        report("training", next(done), total)

    chosen = [_chosen(lesson, part, recipe, fits, advance, epochs) for part in lesson.fold.crossed]
    network, history = fit_committee(lesson, lesson.fold.train, recipe, advance)
    together = Chosen.together(chosen, n_outputs=len(lesson.labels) + 1)
    return learnt(lesson, network, together, history, best_epoch=len(history["loss"]))


def _chosen(
    lesson: Lesson, part: Fold, recipe: Recipe, fits: Fits, advance: Callable[[], None], epochs: int
) -> Chosen:
    logits = _crossed_logits(lesson, part.train, recipe, fits, advance, epochs)
    return Chosen(
        known=logits(lesson.features[part.inner]),
        classes=lesson.classes(part.inner),
        unknown=logits(lesson.features[part.tuning]),
        unknown_emotions=lesson.clips.emotions[part.tuning],
    )


def _crossed_logits(
    lesson: Lesson, train: Indices, recipe: Recipe, fits: Fits, advance: Callable[[], None], epochs: int
) -> Logits:
    """Of a network fitted on these clips; of the same as before, where another fold's part was of the same
    recordings in the same order. Five folds have ten such trainings in common, each of two."""
    what = (
        lesson.clips.twins[train].tolist(),
        lesson.clips.emotions[train].tolist(),
        recipe.seed,
        recipe.epochs,
    )
    key = hashlib.sha256(repr((asdict(lesson.spec), *what)).encode()).digest()
    if key in fits:
        for _ in range(epochs):
            advance()
        return fits.pop(key)
    network, _ = fit_committee(lesson, train, recipe, advance)
    fits[key] = Logits(network)
    return fits[key]


def fit_committee(
    lesson: Lesson, train: Indices, recipe: Recipe, advance: Callable[[], None]
) -> tuple[Any, dict[str, list[float]]]:
    """The joined network, and the loss of its last convolutional member by epoch.

    Statistics for standardising are those of `train`; the last output is no emotion but "no voice". The same
    seed gives the same weights on the same machine. `advance` is called after each epoch.
    """
    material = Material(lesson, train)
    side_by_side, _ = towers.fit_towers(material, recipe.epochs, recipe.seed, advance)
    members, losses = [], list[float]()
    for member in range(CONVOLUTIONAL):
        network, losses = tcn.fit_tcn(material, recipe.epochs, recipe.seed + member, advance)
        members.append(_copy(network))
    return joined(side_by_side, members, material), {"loss": losses}


def _copy(network: Any) -> Any:
    """The next training begins in the same network."""
    copy = load_keras().models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def joined(side_by_side: Any, members: Sequence[Any], material: Material) -> Any:
    """A trained committee as one network: features (n, *spec.shape) to probabilities (n, n_outputs).

    It standardises by the scales of the material itself; the towers' batch normalisation has become part of
    their weights. Its logits are SHARE_OF_TOWERS of their mean, and for the rest the mean of the members'.
    """
    keras = load_keras()
    layers, spec = keras.layers, material.spec
    inputs = keras.Input(spec.shape)
    statistics, frames = _sides(inputs, spec)
    hidden, kernels, biases = [], [], []
    heads, bias = side_by_side.get_layer("head").get_weights()
    for tower, values in enumerate(_tower_outputs(side_by_side, _scaled(statistics, material.of_statistics))):
        hidden.append(values)
        kernels.append(heads[tower] * SHARE_OF_TOWERS / len(heads))
        biases.append(bias[tower] * SHARE_OF_TOWERS / len(heads))
    shown = layers.Multiply()([_scaled(frames, material.of_frames), tcn.flags(frames)])
    for member in members:
        head, share = member.layers[-1], (1 - SHARE_OF_TOWERS) / len(members)
        hidden.append(keras.Model(member.inputs[0], head.input)(shown))
        kernel, constant = head.get_weights()
        kernels.append(kernel * share)
        biases.append(constant * share)
    last = layers.Dense(material.n_outputs, activation="softmax")
    network = keras.Model(inputs, last(layers.Concatenate()(hidden)), name="committee")
    last.set_weights([np.concatenate(kernels), np.sum(biases, axis=0)])
    return network


def _sides(inputs: Any, spec: VoiceSpec) -> tuple[Any, Any]:
    """Statistics (n, spec.statistics) and frames (n, spec.frames, spec.descriptors)."""
    layers = load_keras().layers
    (width,) = spec.shape
    column = layers.Reshape((width, 1))(inputs)
    statistics = layers.Cropping1D((0, width - spec.statistics))(column)
    frames = layers.Cropping1D((spec.statistics, width - spec.n_voice))(column)
    return (
        layers.Reshape((spec.statistics,))(statistics),
        layers.Reshape((spec.frames, spec.descriptors))(frames),
    )


def _scaled(values: Any, scale: Scale) -> Any:
    """What a Scale does, between 0 and twice FARTHEST by a ReLU, since Keras has no layer that clips on both
    sides."""
    layers = load_keras().layers
    units = layers.Rescaling((1 / scale.std).tolist(), (FARTHEST - scale.mean / scale.std).tolist())(values)
    return layers.Rescaling(1.0, -FARTHEST)(layers.ReLU(max_value=2 * FARTHEST)(units))


def _tower_outputs(side_by_side: Any, values: Any) -> list[Any]:
    """The last hidden layer of each tower, its normalisation folded into its weights."""
    layers = load_keras().layers
    weights = [towers.folded(side_by_side, number) for number in (1, 2)]
    outputs = []
    for tower in range(len(weights[0][0])):
        inner = values
        for kernels, biases in weights:
            dense = layers.Dense(towers.HIDDEN, activation="relu")
            inner = dense(inner)
            dense.set_weights([kernels[tower], biases[tower]])
        outputs.append(inner)
    return outputs
