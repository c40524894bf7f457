"""Small networks (MLPs) over a recording as a whole, trained side by side: their shape and their training."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from shared.audio.features import Floats
from shared.models.serving.backend import load_keras, reset_weights
from shared.models.training.losses import masked_crossentropy
from shared.models.training.training_set import TrainingSet, mixed, shares

MEMBERS, HIDDEN = 3, 256
EPOCHS, BATCH_CLIPS = 50, 64
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-3


def fit_mlps(
    training_set: TrainingSet, epochs: int | None, seed: int, advance: Callable[[], None]
) -> tuple[Any, list[float]]:
    """Train the MLPs, each on mixtures of its own.

    The same seed gives the same weights on the same machine.

    Args:
        training_set: what is trained on.
        epochs: None: EPOCHS.
        seed: of weights, order and mixtures.
        advance: called after each epoch.

    Returns:
        The networks, and their mean loss by epoch.
    """
    epochs, rng = epochs or EPOCHS, np.random.default_rng(seed)
    networks = _fresh(training_set.width, training_set.n_outputs, seed)
    losses = []
    for epoch in range(epochs):
        networks.optimizer.learning_rate = LEARNING_RATE * (1 + math.cos(math.pi * epoch / epochs)) / 2
        of_batches = []
        for shown in training_set.order(rng, MEMBERS).batches(BATCH_CLIPS):
            values, targets = training_set.whole(shown), training_set.targets(shown)
            own, others = shares(shown.places.shape, rng), rng.permutation(len(values))
            of_batches.append(float(networks.train_on_batch(*mixed(values, targets, own, others))))
        losses.append(float(np.mean(of_batches)))
        advance()
    return networks, losses


def _fresh(width: int, n_outputs: int, seed: int) -> Any:
    """Compiled MLPs in their initial state, with the weights of this seed."""
    networks = _compiled(width, n_outputs)
    load_keras().utils.set_random_seed(seed)
    reset_weights(networks, build_mlps(width, n_outputs, MEMBERS))
    return networks


@lru_cache(maxsize=2)
def _compiled(width: int, n_outputs: int) -> Any:
    """The same network for all trainings of a process: tracing takes 2.5 s, as long as a hundred steps."""
    keras = load_keras()
    networks = build_mlps(width, n_outputs, MEMBERS)
    networks.compile(
        keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY),
        masked_crossentropy,
        jit_compile=False,  # by XLA a step takes 150 ms on two cores instead of 22
    )
    networks.optimizer.build(networks.trainable_variables)
    return networks


def build_mlps(width: int, n_outputs: int, members: int) -> Any:
    """An ensemble of MLPs in training, each with two hidden layers of 256; not compiled.

    Args:
        width: of the standardised features.
        n_outputs: the emotions.
        members: how many MLPs.

    Returns:
        A Keras network from (n, members, width), each member with an input of its own, to logits (n, members,
        n_outputs).
    """
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
        name="mlps",
    )


def folded(networks: Any, number: int) -> tuple[Floats, Floats]:
    """The weights of a hidden layer with its normalisation folded into them.

    Args:
        networks: from `build_mlps`.
        number: of the layer, from 1.

    Returns:
        Kernels (members, in, out) and biases (members, out).
    """
    (kernels,) = networks.get_layer(f"hidden_{number}").get_weights()
    norm = networks.get_layer(f"norm_{number}")
    gamma, beta, mean, variance = (values.reshape(len(kernels), 1, -1) for values in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return kernels * scale, (beta - mean * scale)[:, 0]
