"""The statistics' networks of v7 with a loss that asks each corpus about its own emotions.

Of a mixture of two clips the softmax is over the emotions that either corpus has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.audio.features import Floats
from shared.emotion import towers
from shared.emotion.backend import load_keras
from shared.emotion.calibration import Values
from shared.emotion.folds import Indices
from shared.emotion.masked import ABSENT, Mask
from shared.emotion.material import FLATTEST_STD, LABEL_SMOOTHING, Scale, mixed, shares

EPOCHS = 30


def masked_targets(classes: Indices, asked: Mask) -> Floats:
    """What a clip is, then what it is asked: (n, 2 * labels), of classes (n,) and masks (n, labels).

    Label smoothing is over the emotions of the clip's own corpus.
    """
    certain = np.eye(asked.shape[1])[classes]
    even = asked / asked.sum(axis=1, keepdims=True)
    targets = certain * (1 - LABEL_SMOOTHING) + even * LABEL_SMOOTHING
    return np.asarray(np.concatenate([targets, asked], axis=1), np.float32)


def masked_crossentropy(truth: Any, logits: Any) -> Any:
    """Of logits (…, labels) and `masked_targets` (…, 2 * labels), as they are or mixed: (…)."""
    keras = load_keras()
    n_labels = logits.shape[-1]
    targets, asked = truth[..., :n_labels], truth[..., n_labels:] > 0
    likelihoods = keras.ops.log_softmax(keras.ops.where(asked, logits, ABSENT), axis=-1)
    return -keras.ops.sum(targets * likelihoods, axis=-1)


@dataclass(frozen=True, slots=True)
class MaskedTowers:
    """Trained towers and the scale of what they are fed."""

    network: Any
    scale: Scale

    @classmethod
    def fit(
        cls,
        values: Floats,
        classes: Indices,
        asked: Mask,
        epochs: int | None = None,
        seed: int = 42,
        advance: Callable[[], None] = lambda: None,
    ) -> MaskedTowers:
        """values: (n, width) statistics; classes: (n,); asked: (n, labels), the emotions of a clip's corpus.

        The same seed gives the same weights on the same machine. `advance` is called after each epoch."""
        keras = load_keras()
        epochs, rng = epochs or EPOCHS, np.random.default_rng(seed)
        scale = Scale(values.mean(axis=0), values.std(axis=0) + FLATTEST_STD)
        scaled, targets = scale(values), masked_targets(classes, asked)
        keras.utils.set_random_seed(seed)
        network = towers.build_towers(values.shape[1], asked.shape[1], towers.MEMBERS)
        optimizer = keras.optimizers.AdamW(towers.LEARNING_RATE, weight_decay=towers.WEIGHT_DECAY)
        network.compile(optimizer, masked_crossentropy, jit_compile=False)
        size = len(scaled), towers.MEMBERS
        for epoch in range(epochs):
            optimizer.learning_rate = towers.LEARNING_RATE * (1 + math.cos(math.pi * epoch / epochs)) / 2
            order = rng.permuted(np.broadcast_to(np.arange(len(scaled))[:, None], size), axis=0)
            for start in range(0, len(order), towers.BATCH_CLIPS):
                places = order[start : start + towers.BATCH_CLIPS]
                own, others = shares(places.shape, rng), rng.permutation(len(places))
                network.train_on_batch(*mixed(scaled[places], targets[places], own, others))
            advance()
        return cls(network, scale)

    def __call__(self, values: Floats) -> Values:
        """Logits (n, labels) of values (n, width), the mean of the towers', none of them masked."""
        scaled = self.scale(values)[:, np.newaxis].repeat(towers.MEMBERS, axis=1)
        told = self.network.predict(scaled, batch_size=256, verbose=0)
        return np.asarray(np.mean(told, axis=1), np.float64)
