"""The layers of an ensemble and the one network that they make, from features to probabilities.

A network is taken apart again where another one is to begin with its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from shared.audio.features import Floats
from shared.audio.spec import EncodedSpec, VoiceSpec
from shared.models.serving.backend import load_keras
from shared.models.training import mlps, tcn
from shared.models.training.distance import LEAST_LOG, PrincipalAxes
from shared.models.training.scaling import FARTHEST, Scale

DISTANCE, BEYOND = "distance", "beyond"  # layers of the network

Dense: TypeAlias = tuple[Floats, Floats]  # kernel (in, out) and bias (out,)


@dataclass(frozen=True, slots=True)
class EnsembleLayers:
    """What an ensemble consists of.

    Attributes:
        spec: the features.
        of_whole: the scale of statistics and embeddings.
        of_frames: the scale of the frames.
        directions: in which the scaled whole of the training data varies most.
        members: the two hidden layers of each MLP.
        convolutions: a Keras network from scaled frames (n, frames, descriptors) to hidden numbers.
        kernel: of the last layer over all hidden numbers, those of the MLPs first, shape (hidden, outputs).
        bias: of the last layer, shape (outputs,).
    """

    spec: VoiceSpec
    of_whole: Scale
    of_frames: Scale
    directions: PrincipalAxes
    members: tuple[tuple[Dense, ...], ...]
    convolutions: Any
    kernel: Floats
    bias: Floats


def assembled(parts: EnsembleLayers) -> Any:
    """The network of these layers; its logits are not shrunk by distance yet.

    Returns:
        A Keras network from features (n, *spec.shape) to probabilities (n, outputs).
    """
    keras = load_keras()
    layers = keras.layers
    inputs = keras.Input(parts.spec.shape)
    whole, frames = _sides(inputs, parts.spec)
    whole = _scaled(whole, parts.of_whole)
    hidden = [_member(whole, member) for member in parts.members]
    shown = layers.Multiply()([_scaled(frames, parts.of_frames), tcn.flags(frames)])
    hidden.append(parts.convolutions(shown))
    # Logits are shrunk by what they are made of, the bias included, so that the last layer stays what it is.
    shrinkage = _shrinkage(whole, parts.directions)
    shrunk_hidden = layers.Multiply()([layers.Concatenate()(hidden), shrinkage])
    last = layers.Dense(len(parts.bias), activation="softmax")
    network = keras.Model(inputs, last(layers.Concatenate()([shrunk_hidden, shrinkage])), name="ensemble")
    last.set_weights([np.concatenate([parts.kernel, parts.bias[np.newaxis]]), np.zeros_like(parts.bias)])
    return network


def layers_of(network: Any, spec: VoiceSpec) -> EnsembleLayers:
    """Take apart what `assembled` has made.

    Args:
        network: in Keras, as it was made or loaded.
        spec: its features.

    Raises:
        ValueError: it is another kind of network.
    """
    keras = load_keras()
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    scales = {
        len(layer.scale): layer
        for layer in network.layers
        if isinstance(layer, keras.layers.Rescaling) and np.ndim(layer.scale)
    }
    centred = [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.Rescaling) and not np.ndim(layer.scale) and np.ndim(layer.offset)
    ]
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    axes = [layer for layer in dense if not layer.use_bias]
    width = spec.statistics + (spec.shape[0] - spec.n_voice)
    first = [layer for layer in dense if layer.use_bias and layer.input.shape[-1] == width]
    if not (first and {width, spec.descriptors} <= scales.keys()) or any(
        len(found) != 1 for found in (centred, convolutions, axes)
    ):
        raise ValueError(f"{network.name} is no ensemble with the features {spec.name}")
    second = [next(layer for layer in dense if layer.input is one.output) for one in first]
    kernel, constant = network.layers[-1].get_weights()
    return EnsembleLayers(
        spec,
        _scale(scales[width]),
        _scale(scales[spec.descriptors]),
        PrincipalAxes(-np.asarray(centred[0].offset, np.float32), axes[0].get_weights()[0]),
        members=tuple(
            (tuple(one.get_weights()), tuple(two.get_weights()))
            for one, two in zip(first, second, strict=True)
        ),
        convolutions=convolutions[0],
        kernel=kernel[:-1],
        bias=kernel[-1] + constant,
    )


def whole_of(rows: Floats, spec: VoiceSpec) -> Floats:
    """Statistics and embeddings of rows of features, shape (n, width)."""
    parts = [rows[:, : spec.statistics]]
    if isinstance(spec, EncodedSpec):
        parts.append(rows[:, spec.embeddings])
    return np.concatenate(parts, axis=1, dtype=np.float32)


def frames_of(rows: Floats, spec: VoiceSpec) -> Floats:
    """The frames of rows of features, shape (n, spec.frames, spec.descriptors)."""
    frames = rows[:, spec.statistics : spec.n_voice]
    return np.asarray(frames, np.float32).reshape(-1, spec.frames, spec.descriptors)


def _scale(layer: Any) -> Scale:
    """The scale that `_scaled` has made this layer of."""
    std = 1 / np.asarray(layer.scale, np.float64)
    mean = (FARTHEST - np.asarray(layer.offset, np.float64)) * std
    return Scale(mean.astype(np.float32), std.astype(np.float32))


def _shrinkage(whole: Any, directions: PrincipalAxes) -> Any:
    """The factor of the logits, (n, 1), for scaled rows (n, width); it is 1 until its layer is set."""
    layers = load_keras().layers
    width, n_axes = directions.axes.shape
    centred = layers.Rescaling(1.0, (-directions.mean).tolist())(whole)
    project = layers.Dense(n_axes, use_bias=False)
    inside = project(centred)
    project.set_weights([directions.axes])

    def mean_square(values: Any, length: int) -> Any:
        squares = layers.Reshape((length, 1))(layers.Multiply()([values, values]))
        return layers.Rescaling(length / width)(layers.GlobalAveragePooling1D()(squares))

    squares = [mean_square(centred, width), mean_square(inside, n_axes)]
    beyond = layers.Dense(1, name=BEYOND)
    steps = layers.ReLU(max_value=LEAST_LOG)(beyond(layers.Subtract(name=DISTANCE)(squares)))
    beyond.set_weights([np.zeros((1, 1)), np.zeros(1)])
    return layers.Activation("exponential")(layers.Rescaling(-1.0)(steps))


def _sides(inputs: Any, spec: VoiceSpec) -> tuple[Any, Any]:
    """The recording as a whole, statistics and embeddings, and its frames.

    Returns:
        Tensors of shape (n, width) and (n, spec.frames, spec.descriptors).
    """
    layers = load_keras().layers
    (length,) = spec.shape
    column = layers.Reshape((length, 1))(inputs)

    def cut(part: slice) -> Any:
        start, stop, _ = part.indices(length)
        return layers.Reshape((stop - start,))(layers.Cropping1D((start, length - stop))(column))

    whole = cut(slice(spec.statistics))
    if isinstance(spec, EncodedSpec):
        whole = layers.Concatenate()([whole, cut(spec.embeddings)])
    frames = cut(slice(spec.statistics, spec.n_voice))
    return whole, layers.Reshape((spec.frames, spec.descriptors))(frames)


def _scaled(values: Any, scale: Scale) -> Any:
    """What a Scale computes, clipped by a ReLU between 0 and twice FARTHEST.

    Keras has no layer that clips on both sides.
    """
    layers = load_keras().layers
    units = layers.Rescaling((1 / scale.std).tolist(), (FARTHEST - scale.mean / scale.std).tolist())(values)
    return layers.Rescaling(1.0, -FARTHEST)(layers.ReLU(max_value=2 * FARTHEST)(units))


def _member(values: Any, hidden: tuple[Dense, ...]) -> Any:
    """The last hidden layer of an MLP."""
    layers = load_keras().layers
    for weights in hidden:
        dense = layers.Dense(mlps.HIDDEN, activation="relu")
        values = dense(values)
        dense.set_weights(list(weights))
    return values
