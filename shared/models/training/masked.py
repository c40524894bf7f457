"""A linear network over a recording's statistics, with a loss that asks each corpus about its own emotions.

Multinomial logistic regression by L-BFGS, in seconds where the networks of a version take minutes: for
questions about data, not for serving. Of corpora with different emotions each clip's softmax is over those
that its corpus has; scikit-learn's own has no such mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from shared.audio.features import Floats
from shared.models.data.folds import Indices
from shared.models.metrics.calibration import Values

Mask = NDArray[np.bool_]

RIDGE = 0.02  # times half of the weights' squares, beside the mean loss of a clip
STEPS = 100
FARTHEST = 4.0  # standard deviations, as the networks of v7 have it
ABSENT = -1e9  # a logit that is not asked for


@dataclass(frozen=True, slots=True)
class Linear:
    """mean, std: (width,), of those who fit; weights: (width, classes); bias: (classes,)."""

    mean: Values
    std: Values
    weights: Values
    bias: Values

    @classmethod
    def fit(cls, values: Floats, classes: Indices, asked: Mask, steps: int = STEPS) -> Self:
        """values: (n, width); classes: (n,); asked: (n, classes), which emotions a clip's corpus has, its own
        among them; steps: of L-BFGS, at most.
        """
        mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64) + 1e-6
        scaled = _scaled(values, mean, std)
        n, width = scaled.shape
        n_classes = asked.shape[1]
        targets = np.eye(n_classes)[classes]

        def loss(flat: Values) -> tuple[float, Values]:
            weights, bias = flat[:-n_classes].reshape(width, n_classes), flat[-n_classes:]
            logits = np.where(asked, scaled @ weights + bias, ABSENT)
            likelihoods = log_softmax(logits, axis=1)
            error = (np.exp(likelihoods) - targets) / n
            slope = np.concatenate([(scaled.T @ error + RIDGE * weights).ravel(), error.sum(axis=0)])
            value = -(likelihoods * targets).sum() / n + RIDGE / 2 * np.square(weights).sum()
            return float(value), slope

        start = np.zeros((width + 1) * n_classes)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps})
        return cls(mean, std, found.x[:-n_classes].reshape(width, n_classes), found.x[-n_classes:])

    def __call__(self, values: Floats) -> Values:
        """Logits (n, classes) of values (n, width), none of them masked."""
        return np.asarray(_scaled(values, self.mean, self.std) @ self.weights + self.bias)


def _scaled(values: Floats, mean: Values, std: Values) -> Values:
    return np.asarray(np.clip((values - mean) / std, -FARTHEST, FARTHEST))


def masked(logits: Values, asked: Mask) -> Values:
    """Logits (n, classes) of which only those asked for (n, classes) or (classes,) can win."""
    return np.asarray(np.where(asked, logits, ABSENT))


def probabilities(logits: Values, asked: Mask, temperature: float = 1.0) -> Values:
    """(n, classes), 0 where a class is not asked for."""
    return np.asarray(softmax(masked(logits, asked) / temperature, axis=1))
