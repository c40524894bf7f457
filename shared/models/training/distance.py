"""How far a recording lies from all that a network has learnt from, and how much less it trusts itself there.

A network answers about what it has never heard as surely as about what it knows: taught by one corpus, it was
sure of a third to a half of another, and right in 0.05 to 0.5 of that (decision 013). What a recording has
outside of the directions in which those that taught differ tells the two apart (as in Ndiour et al. 2020,
arXiv:2012.06595, features' reconstruction error); logits shrink with it, so that confidence falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.utils.extmath import randomized_svd

from shared.audio.features import Floats

Values = NDArray[np.float64]
Indices = NDArray[np.int64]

DIRECTIONS = 128  # of 3,923: 32 tell telephones from other corpora less well, 512 no better
MOST_ROWS = 8192  # that they are found from, in 4 s
NEAR = 0.99  # the share of clips of the network's own corpus, by speakers it never heard, that count as near
STEEPEST = 200.0
LEAST_LOG = 3.0  # a twentieth of the logits: no confidence is above 0.2 then


@dataclass(frozen=True, slots=True)
class Directions:
    """mean: (width,); axes: (width, DIRECTIONS) at most, orthonormal."""

    mean: Floats
    axes: Floats

    @classmethod
    def of(cls, rows: NDArray[np.floating], rng: np.random.Generator) -> Self:
        """The directions in which rows (n, width) differ most."""
        if len(rows) > MOST_ROWS:
            rows = rows[np.sort(rng.choice(len(rows), MOST_ROWS, replace=False))]
        values = np.asarray(rows, np.float32)
        mean = values.mean(axis=0)
        most = min(DIRECTIONS, *values.shape)
        _, _, axes = randomized_svd(values - mean, most, n_iter=2, random_state=0)
        return cls(mean, np.ascontiguousarray(axes.T, np.float32))


@dataclass(frozen=True, slots=True)
class Trust:
    """Logits are multiplied by exp(-steepness * (distance - near)), by 1 where it is near, and at least by
    exp(-LEAST_LOG), so that the best guess stays one.
    """

    near: float = 0.0
    steepness: float = 0.0

    @classmethod
    def fit(
        cls, logits: Values, classes: Indices, distances: Values, near: float, temperature: float
    ) -> Self:
        """What makes the answers to clips of foreign corpora likeliest.

        Args:
            logits: (n, classes), n > 0, of clips by networks that have heard nothing of their corpus.
            classes: (n,), the true ones.
            distances: (n,).
            near: a distance that the network's own corpus keeps.
            temperature: of clips that are near.
        """

        def loss(steepness: float) -> float:
            shrunk = logits * (cls(near, steepness)(distances) / temperature)[:, np.newaxis]
            return float(-np.take_along_axis(log_softmax(shrunk, axis=1), classes[:, None], axis=1).mean())

        # Each of them, since there may be more than one valley.
        return cls(near, min((0.0, *np.geomspace(0.1, STEEPEST, 100).tolist()), key=loss))

    def __call__(self, distances: Values) -> Values:
        """(n,), what logits are multiplied by."""
        return np.exp(-np.clip(self.steepness * (distances - self.near), 0.0, LEAST_LOG))
