"""The networks that can be trained: from features to probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.emotion.backend import load_keras

Floats = NDArray[np.float32]

HIDDEN = 256
FARTHEST = 4.0  # z-scores beyond it say no more: a silent band, another microphone


def build_classifier(input_shape: tuple[int, ...], n_classes: int) -> Any:
    """The seed's network: features (n, *input_shape) to probabilities (n, n_classes), not compiled."""
    keras = load_keras()
    layers = keras.layers

    def block(filters: int) -> list[Any]:
        return [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
        ]

    return keras.Sequential(
        [
            keras.Input(input_shape),
            *block(32),
            *block(64),
            layers.Dropout(0.3),
            *block(128),
            layers.Dropout(0.4),
            layers.GlobalAveragePooling2D(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(n_classes, activation="softmax"),
        ],
        name="seed",
    )


def build_towers(width: int, n_outputs: int, members: int) -> Any:
    """A committee in training: standardised features (n, members, width), each member its own, to logits
    (n, members, n_outputs). Two hidden layers of 256 each; not compiled."""
    keras = load_keras()
    layers = keras.layers

    def each(n_out: int, name: str, bias: bool = False) -> Any:
        # Keras takes the members for a receptive field and would draw weights too small by its root.
        glorot = keras.initializers.VarianceScaling(members, "fan_avg", "uniform")
        return layers.EinsumDense(
            "bmi,mio->bmo",
            (members, n_out),
            bias_axes="mo" if bias else None,
            kernel_initializer=glorot,
            name=name,
        )

    def hidden(number: int) -> list[Any]:
        return [
            each(HIDDEN, f"hidden_{number}"),
            layers.Reshape((members * HIDDEN,)),
            layers.BatchNormalization(name=f"norm_{number}"),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Reshape((members, HIDDEN)),
        ]

    return keras.Sequential(
        [
            keras.Input((members, width)),
            layers.Dropout(0.2),
            *hidden(1),
            *hidden(2),
            each(n_outputs, "head", bias=True),
        ],
        name="towers",
    )


def joined(towers: Any, mean: Floats, std: Floats) -> Any:
    """The trained committee as one network: features (n, width) to probabilities (n, n_outputs).

    It standardises by `mean` and `std` (width,) itself; its batch normalisation has become part of its
    weights; its logits are the mean of the members'.
    """
    keras = load_keras()
    layers = keras.layers
    first, second = (_folded(towers, number) for number in (1, 2))
    head, bias = towers.get_layer("head").get_weights()
    members, width = first[0].shape[:2]
    inputs = keras.Input((width,))
    # Between 0 and twice FARTHEST by a ReLU, since Keras has no layer that clips on both sides.
    scaled = layers.Rescaling((1 / std).tolist(), (FARTHEST - mean / std).tolist())(inputs)
    scaled = layers.Rescaling(1.0, -FARTHEST)(layers.ReLU(max_value=2 * FARTHEST)(scaled))
    outputs = []
    for member in range(members):
        values = scaled
        for kernels, biases in (first, second):
            dense = layers.Dense(HIDDEN, activation="relu")
            values = dense(values)
            dense.set_weights([kernels[member], biases[member]])
        outputs.append(values)
    last = layers.Dense(head.shape[-1], activation="softmax")
    network = keras.Model(inputs, last(layers.Concatenate()(outputs)), name="committee")
    last.set_weights([np.concatenate(head) / members, bias.mean(axis=0)])
    return network


def _folded(towers: Any, number: int) -> tuple[Floats, Floats]:
    """Kernels (members, in, out) and biases (members, out) of a hidden layer with its normalisation."""
    (kernels,) = towers.get_layer(f"hidden_{number}").get_weights()
    norm = towers.get_layer(f"norm_{number}")
    gamma, beta, mean, variance = (values.reshape(len(kernels), 1, -1) for values in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return kernels * scale, (beta - mean * scale)[:, 0]
