"""A loss that asks each corpus about its own emotions: of corpora with different ones each clip's softmax is
over those that its corpus has, of a mixture of two clips over those that either has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.audio.features import Floats
from shared.models.serving.backend import load_keras
from shared.models.training.masked import ABSENT, Mask

WEIGHT_OF_HINTS = 0.5  # at 1.5 the convolutions heard worse: 0.694 of group 3, where 0.719 (decision 013)


def masked_targets(wanted: Floats, asked: Mask, smoothing: float) -> Floats:
    """What a clip is, then what it is asked.

    Args:
        wanted: (n, labels), the probabilities to be learnt.
        asked: (n, labels), the emotions of the clip's own corpus, over which smoothing goes.
        smoothing: the share of it.

    Returns:
        (n, 2 * labels), float32.
    """
    even = asked / asked.sum(axis=1, keepdims=True)
    targets = wanted * (1 - smoothing) + even * smoothing
    return np.asarray(np.concatenate([targets, asked], axis=1), np.float32)


def masked_crossentropy(truth: Any, logits: Any) -> Any:
    """Of logits (…, labels) and `masked_targets` (…, 2 * labels), as they are or mixed: (…)."""
    keras = load_keras()
    n_labels = logits.shape[-1]
    targets, asked = truth[..., :n_labels], truth[..., n_labels:] > 0
    likelihoods = keras.ops.log_softmax(keras.ops.where(asked, logits, ABSENT), axis=-1)
    return -keras.ops.sum(targets * likelihoods, axis=-1)


def hinted_crossentropy(n_labels: int) -> Callable[[Any, Any], Any]:
    """`masked_crossentropy` of the first n_labels numbers told, and for those behind them, hints, the mean
    square of their errors; what is true is told in the same order. Without hints the former alone.
    """
    keras = load_keras()

    def loss(truth: Any, told: Any) -> Any:
        of_labels = masked_crossentropy(truth[..., : 2 * n_labels], told[..., :n_labels])
        if told.shape[-1] == n_labels:
            return of_labels
        errors = truth[..., 2 * n_labels :] - told[..., n_labels:]
        return of_labels + WEIGHT_OF_HINTS * keras.ops.mean(keras.ops.square(errors), axis=-1)

    return loss
