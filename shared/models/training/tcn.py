"""A temporal convolutional network over the frames of a voice: its shape and its training.

Source: residual blocks of dilated convolutions (Bai et al. 2018, arXiv:1803.01271), each weighted channel by
channel (Hu et al. 2018, arXiv:1709.01507), and attentive statistics over time (Okabe et al. 2018,
arXiv:1803.10963).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from shared.audio.features import Floats
from shared.models.serving.backend import load_keras, reset_weights
from shared.models.training.losses import hinted_crossentropy
from shared.models.training.training_set import BatchOrder, TrainingSet, mixed, shares

CHANNELS, BLOCKS = 96, 4
STRIDE = 4  # of the first layer: 64 ms a step; 32 ms took twice as long and was not better
DILATIONS = 1, 2, 4
SCORERS, HIDDEN = 64, 128
EPOCHS, BATCH_CLIPS = 40, 32
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 2e-3, 1e-3, 5.0
WARM_UP_EPOCHS = 2
AVERAGED = 0.99  # momentum of the weights' mean, which is what stays (Izmailov et al. 2018, arXiv:1803.05407)
TIME_MASKS, TIME_MASK, BAND_MASK = 2, 16, 10  # as SpecAugment (Park et al. 2019, arXiv:1904.08779)
ABSENT = -1e4  # a score before a softmax
HEAD = "logits"


def fit_tcn(
    training_set: TrainingSet, epochs: int | None, seed: int, advance: Callable[[], None]
) -> tuple[Any, list[float]]:
    """Train the network.

    The same seed gives the same weights on the same machine.

    Args:
        training_set: what is trained on.
        epochs: None: EPOCHS.
        seed: of weights, order, masks and mixtures.
        advance: called after each epoch.

    Returns:
        The network, and its loss by epoch.
    """
    epochs = epochs or EPOCHS
    spec, rng = training_set.spec, np.random.default_rng(seed)
    network = _fresh(spec.frames, spec.descriptors, training_set.n_outputs, training_set.n_hints, seed)
    optimizer, steps = network.optimizer, math.ceil(training_set.n_clips / BATCH_CLIPS)
    losses = []
    for epoch in range(epochs):
        of_batches = []
        for step, shown in enumerate(training_set.order(rng).batches(BATCH_CLIPS)):
            done = (epoch + step / steps) / epochs
            warm = min(1.0, (epoch + (step + 1) / steps) / WARM_UP_EPOCHS)
            optimizer.learning_rate = LEARNING_RATE * warm * (1 + math.cos(math.pi * done)) / 2
            of_batches.append(float(network.train_on_batch(*_batch(training_set, shown, rng))))
        losses.append(float(np.mean(of_batches)))
        advance()
    optimizer.finalize_variable_values(network.trainable_variables)
    return network, losses


def _batch(training_set: TrainingSet, shown: BatchOrder, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Frames and targets: stretches of time and neighbouring bands are masked, then clips are mixed."""
    frames, targets = training_set.frames(shown), training_set.targets_and_hints(shown)
    there = frames[..., -1].copy()
    n, length, _ = frames.shape
    for _ in range(TIME_MASKS):
        hides = _stretches(n, length, TIME_MASK, rng)
        frames[hides] = 0
    bands = frames[..., training_set.spec.bands]
    bands *= ~_stretches(n, bands.shape[-1], BAND_MASK, rng)[:, np.newaxis]
    own, others = shares((n,), rng), rng.permutation(n)
    frames, targets = mixed(frames, targets, np.maximum(own, 1 - own), others)
    frames[..., -1] = np.maximum(there, there[others])
    return frames, targets


def _stretches(n: int, length: int, longest: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """True within one stretch of each row, of less than `longest` places: (n, length)."""
    widths = rng.integers(longest, size=(n, 1))
    starts = (rng.random((n, 1)) * (length - widths + 1)).astype(np.int64)
    places = np.arange(length)
    return np.asarray((places >= starts) & (places < starts + widths))


def _fresh(frames: int, descriptors: int, n_outputs: int, n_hints: int, seed: int) -> Any:
    """A compiled network in its initial state, with the weights of this seed."""
    network = _compiled(frames, descriptors, n_outputs, n_hints)
    load_keras().utils.set_random_seed(seed)
    reset_weights(network, build_tcn(frames, descriptors, n_outputs, n_hints))
    return network


@lru_cache(maxsize=2)
def _compiled(frames: int, descriptors: int, n_outputs: int, n_hints: int) -> Any:
    """The same network for all trainings of a process: tracing takes as long as many steps."""
    keras = load_keras()
    network = build_tcn(frames, descriptors, n_outputs, n_hints)
    network.compile(
        keras.optimizers.AdamW(
            LEARNING_RATE, weight_decay=WEIGHT_DECAY, clipnorm=CLIP_NORM,
            use_ema=True, ema_momentum=AVERAGED, ema_overwrite_frequency=None,
        ),
        hinted_crossentropy(n_outputs),
        jit_compile=False,  # by XLA a step takes a fifth longer
    )  # fmt: skip
    network.optimizer.build(network.trainable_variables)
    return network


def build_tcn(frames: int, descriptors: int, n_outputs: int, n_hints: int = 0) -> Any:
    """The network, not compiled.

    Args:
        frames: the greatest number of them.
        descriptors: of each frame; the last is 1 where there is a frame and 0 behind them.
        n_outputs: the emotions.
        n_hints: further outputs.

    Returns:
        A Keras network from standardised frames (n, frames, descriptors) to logits (n, n_outputs), followed
        by hints (n, n_hints).
    """
    keras = load_keras()
    layers = keras.layers

    def normal(values: Any) -> Any:
        return layers.BatchNormalization(momentum=0.95)(values)

    def convolved(values: Any, width: int, **more: Any) -> Any:
        convolution = layers.Conv1D(CHANNELS, width, padding="same", use_bias=False, **more)
        return normal(convolution(values))

    inputs = keras.Input((frames, descriptors))
    flag = layers.MaxPooling1D(STRIDE)(flags(inputs))
    values = layers.ReLU()(convolved(inputs, 5, strides=STRIDE))
    for block in range(BLOCKS):
        inner = layers.ReLU()(convolved(values, 3, dilation_rate=DILATIONS[block % len(DILATIONS)]))
        inner = convolved(layers.SpatialDropout1D(0.1)(inner), 3)
        weights = layers.GlobalAveragePooling1D(keepdims=True)(inner)
        weights = layers.Dense(CHANNELS // 8, activation="relu")(weights)
        weights = layers.Dense(CHANNELS, activation="sigmoid")(weights)
        values = layers.ReLU()(layers.Add()([values, layers.Multiply()([inner, weights])]))
    pooled = normal(_pooled(values, flag, frames // STRIDE))
    hidden = layers.Dense(HIDDEN, use_bias=False)(layers.Dropout(0.4)(pooled))
    hidden = layers.Dropout(0.4)(layers.ReLU()(normal(hidden)))
    outputs = layers.Dense(n_outputs, name=HEAD)(hidden)
    if n_hints:
        outputs = layers.Concatenate()([outputs, layers.Dense(n_hints)(hidden)])
    return keras.Model(inputs, outputs, name="tcn")


def flags(frames: Any) -> Any:
    """The last descriptor of each frame, (n, frames, 1), of a tensor (n, frames, descriptors)."""
    layers = load_keras().layers
    turned = layers.Permute((2, 1))(frames)
    return layers.Permute((2, 1))(layers.Cropping1D((frames.shape[-1] - 1, 0))(turned))


def _pooled(values: Any, flag: Any, steps: int) -> Any:
    """Attentive mean and variance, mean, and maximum over the steps that there are: (n, 4 channels)."""
    layers = load_keras().layers
    absent = layers.Rescaling(-ABSENT, ABSENT)(flag)

    def summed(weights: Any, of: Any) -> Any:
        return layers.Rescaling(steps)(layers.GlobalAveragePooling1D()(layers.Multiply()([weights, of])))

    scores = layers.Dense(CHANNELS)(layers.Dense(SCORERS, activation="tanh")(values))
    weights = layers.Softmax(axis=1)(layers.Add()([scores, absent]))
    mean = summed(weights, values)
    squares = summed(weights, layers.Multiply()([values, values]))
    variance = layers.Subtract()([squares, layers.Multiply()([mean, mean])])
    even = summed(layers.Softmax(axis=1)(absent), values)
    most = layers.GlobalMaxPooling1D()(layers.Multiply()([values, flag]))
    return layers.Concatenate()([mean, variance, even, most])
