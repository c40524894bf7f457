"""A linear network over the statistics of a recording, for several corpora with different emotions.

Multinomial logistic regression by L-BFGS, which takes seconds where the networks of a version take minutes:
for studies of data, not for serving. The softmax of a clip runs over the emotions that its corpus has;
scikit-learn's own regression has no such mask.
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
from shared.models.training.scaling import FLATTEST_STD, standardised

Mask = NDArray[np.bool_]

RIDGE = 0.02  # times half of the weights' squares, beside the mean loss of a clip
STEPS = 100
ABSENT = -1e9  # a logit that is not available for


@dataclass(frozen=True, slots=True)
class Linear:
    """A fitted regression.

    Attributes:
        mean: of the training data, shape (width,).
        std: of the training data, shape (width,).
        weights: shape (width, classes).
        bias: shape (classes,).
    """

    mean: Values
    std: Values
    weights: Values
    bias: Values

    @classmethod
    def fit(cls, values: Floats, classes: Indices, available: Mask, steps: int = STEPS) -> Self:
        """Fit the regression.

        Args:
            values: shape (n, width).
            classes: the true ones, shape (n,).
            available: which emotions the corpus of each clip has, its own among them, shape (n, classes).
            steps: of L-BFGS at most.
        """
        mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64) + FLATTEST_STD
        scaled = standardised(values, mean, std)
        n, width = scaled.shape
        n_classes = available.shape[1]
        targets = np.eye(n_classes)[classes]

        def loss(flat: Values) -> tuple[float, Values]:
            weights, bias = flat[:-n_classes].reshape(width, n_classes), flat[-n_classes:]
            logits = np.where(available, scaled @ weights + bias, ABSENT)
            likelihoods = log_softmax(logits, axis=1)
            error = (np.exp(likelihoods) - targets) / n
            slope = np.concatenate([(scaled.T @ error + RIDGE * weights).ravel(), error.sum(axis=0)])
            value = -(likelihoods * targets).sum() / n + RIDGE / 2 * np.square(weights).sum()
            return float(value), slope

        start = np.zeros((width + 1) * n_classes)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps})
        return cls(mean, std, found.x[:-n_classes].reshape(width, n_classes), found.x[-n_classes:])

    def __call__(self, values: Floats) -> Values:
        """Logits of values (n, width), none of them masked: (n, classes)."""
        return np.asarray(standardised(values, self.mean, self.std) @ self.weights + self.bias)


def masked(logits: Values, available: Mask) -> Values:
    """Logits of which only the available ones can win.

    Args:
        logits: shape (n, classes).
        available: shape (n, classes) or (classes,).
    """
    return np.asarray(np.where(available, logits, ABSENT))


def probabilities(logits: Values, available: Mask, temperature: float = 1.0) -> Values:
    """The probabilities of logits, 0 where a class is not available.

    Args:
        logits: shape (n, classes).
        available: shape (n, classes) or (classes,).
        temperature: divides the logits.

    Returns:
        Shape (n, classes).
    """
    return np.asarray(softmax(masked(logits, available) / temperature, axis=1))
