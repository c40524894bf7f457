"""A loss over several corpora with different emotions, which counts for each clip only those of its corpus.

The softmax of a clip runs over the emotions that its corpus has, that of a mixture of two clips over those
that either corpus has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.audio.features import Floats
from shared.models.serving.backend import load_keras
from shared.models.training.fold_data import Mask
from shared.models.training.masked import ABSENT

WEIGHT_OF_HINTS = 0.5  # at 1.5 the convolutions are worse: 0.694 right in group 3, not 0.719 (decision 013)


def masked_targets(wanted: Floats, available: Mask, smoothing: float) -> Floats:
    """The targets of clips, followed by the emotions that their corpora have.

    Args:
        wanted: the target probabilities, shape (n, labels).
        available: the emotions of each clip's corpus, over which the smoothing is spread, shape (n, labels).
        smoothing: the share of label smoothing.

    Returns:
        Float32, shape (n, 2 * labels).
    """
    even = available / available.sum(axis=1, keepdims=True)
    targets = wanted * (1 - smoothing) + even * smoothing
    return np.asarray(np.concatenate([targets, available], axis=1), np.float32)


def masked_crossentropy(truth: Any, logits: Any) -> Any:
    """The cross-entropy over available emotions.

    Args:
        truth: from `masked_targets`, as they are or mixed, shape (…, 2 * labels).
        logits: shape (…, labels).

    Returns:
        Shape (…).
    """
    keras = load_keras()
    n_labels = logits.shape[-1]
    targets, available = truth[..., :n_labels], truth[..., n_labels:] > 0
    likelihoods = keras.ops.log_softmax(keras.ops.where(available, logits, ABSENT), axis=-1)
    return -keras.ops.sum(targets * likelihoods, axis=-1)


def hinted_crossentropy(n_labels: int) -> Callable[[Any, Any], Any]:
    """A loss of `masked_crossentropy` and, for hints, the mean square of their errors.

    Args:
        n_labels: how many of the outputs are logits; the others are hints. The targets have the same order.
    """
    keras = load_keras()

    def loss(truth: Any, outputs: Any) -> Any:
        of_labels = masked_crossentropy(truth[..., : 2 * n_labels], outputs[..., :n_labels])
        if outputs.shape[-1] == n_labels:
            return of_labels
        errors = truth[..., 2 * n_labels :] - outputs[..., n_labels:]
        return of_labels + WEIGHT_OF_HINTS * keras.ops.mean(keras.ops.square(errors), axis=-1)

    return loss
