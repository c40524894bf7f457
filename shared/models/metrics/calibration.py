"""From a network's logits to a confidence that can be taken literally, and how far it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

Values = NDArray[np.float64]
Indices = NDArray[np.int64]

ECE_BINS = 15
TEMPERATURES = 0.05, 20.0
BATCH_CLIPS = 256

# Of logits (m, outputs), a temperature, and how many outputs are emotions, the first n; higher means surer.
# Max logit and energy after Hendrycks et al. 2022 (arXiv:1911.11132) and Liu et al. 2020 (arXiv:2010.03759);
# these two and the entropy are at temperature 1: a threshold is set on them as they are.
SCORES: dict[str, Callable[[Values, float, int], Values]] = {
    "top probability": lambda logits, temperature, n: softmax(logits / temperature, axis=1)[:, :n].max(
        axis=1
    ),
    "max logit": lambda logits, _temperature, n: logits[:, :n].max(axis=1),
    "energy": lambda logits, _temperature, n: np.asarray(logsumexp(logits[:, :n], axis=1)),
    "negative entropy": lambda logits, _temperature, n: np.asarray(
        (softmax(logits[:, :n], axis=1) * log_softmax(logits[:, :n], axis=1)).sum(axis=1)
    ),
}


class Threshold(BaseModel):
    """A limit on a score, as a rule gives it.

    Attributes:
        set_on: the unknown emotion that it was set on.
        rule: `seed` (the baseline's) or `risk`.
        score: a key of `SCORES`.
        value: the limit.
        is_reached: whether the rule gave it as it is; else it is a bound (seed) or the lowest risk (risk).
    """

    set_on: str
    rule: str
    score: str
    value: float
    is_reached: bool


class Logits:
    """The logits of a network: the input of its softmax. Its last layer must be Dense, as in every recipe.

    They are computed without tracing: each network would be traced anew, a second where a batch takes 20 ms.
    """

    def __init__(self, network: Any) -> None:
        """Cut the network before its last layer.

        Args:
            network: a Keras network from features to probabilities.
        """
        import keras

        head = network.layers[-1]
        self._kernel, self._bias = (np.asarray(values, np.float64) for values in head.get_weights())
        self._body = keras.Model(network.inputs[0], head.input)
        self._width = network.input_shape[-1]

    def __call__(self, inputs: NDArray[np.float32]) -> Values:
        """The logits of features.

        Args:
            inputs: shape (n, …), n may be 0; of longer rows the beginning is used.

        Returns:
            Shape (n, classes).
        """
        batches = (
            inputs[start : start + BATCH_CLIPS, ..., : self._width]
            for start in range(0, len(inputs), BATCH_CLIPS)
        )
        hidden = [np.asarray(self._body(batch, training=False), np.float64) for batch in batches]
        return np.concatenate([np.empty((0, len(self._kernel))), *hidden]) @ self._kernel + self._bias


def fit_temperature(logits: Values, classes: Indices) -> float:
    """The temperature between 0.05 and 20 with the least cross-entropy.

    The order of the probabilities does not change.

    Args:
        logits: shape (n, classes), n > 0.
        classes: the true ones, shape (n,).

    Source: Guo et al. 2017, arXiv:1706.04599.
    """

    def loss(log_temperature: float) -> float:
        likelihoods = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-np.take_along_axis(likelihoods, classes[:, None], axis=1).mean())

    coldest, hottest = TEMPERATURES
    found = minimize_scalar(loss, bounds=(float(np.log(coldest)), float(np.log(hottest))), method="bounded")
    return float(np.exp(found.x))


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence and accuracy in 15 bins of equal width, each closed above.

    Attributes:
        counts: clips in each bin, shape (15,).
        confidence: their mean confidence; 0 in an empty bin.
        accuracy: the share of right answers; 0 in an empty bin.
    """

    counts: Indices
    confidence: Values
    accuracy: Values

    @classmethod
    def of(cls, confidences: NDArray[np.floating], is_right: NDArray[np.bool_]) -> Reliability:
        """Sort clips into the bins.

        Args:
            confidences: shape (n,).
            is_right: whether each answer was right, shape (n,).
        """
        edges = np.linspace(0, 1, ECE_BINS + 1)
        bins = np.clip(np.searchsorted(edges, confidences) - 1, 0, ECE_BINS - 1)
        counts = np.bincount(bins, minlength=ECE_BINS)
        sums = (np.bincount(bins, values, ECE_BINS) for values in (confidences, is_right))
        confidence, accuracy = (total / np.maximum(counts, 1) for total in sums)
        return cls(counts, confidence, accuracy)

    @property
    def error(self) -> float:
        """ECE: the mean distance between confidence and accuracy, each bin weighted by its clips."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.counts))
