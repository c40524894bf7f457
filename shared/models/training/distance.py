"""How far a recording lies from all training data, and how much less sure a network is there.

A network answers about unfamiliar recordings as surely as about familiar ones: trained on one corpus, it was
sure of a third to a half of another, and right in 0.05 to 0.5 of that (decision 013). The part of a recording
that lies outside of the directions in which the training data varies separates the two. Logits shrink with
its size, so that confidence falls.

Source: the reconstruction error of features, as in Ndiour et al. 2020, arXiv:2012.06595.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from shared.audio.features import Floats
from shared.models.training.scaling import principal_axes, sampled_rows

Values = NDArray[np.float64]
Indices = NDArray[np.int64]

DIRECTIONS = 128  # of 3,923: 32 tell telephones from other corpora less well, 512 no better
NEAR = 0.99  # the share of clips of the network's own corpus, by unseen speakers, that count as near
STEEPEST = 200.0
LEAST_LOG = 3.0  # a twentieth of the logits: no confidence is above 0.2 then


@dataclass(frozen=True, slots=True)
class PrincipalAxes:
    """The directions in which training data varies most.

    Attributes:
        mean: of the data, shape (width,).
        axes: orthonormal columns, shape (width, DIRECTIONS), or fewer of them.
    """

    mean: Floats
    axes: Floats

    @classmethod
    def of(cls, rows: NDArray[np.floating], rng: np.random.Generator) -> Self:
        """Compute the directions.

        Args:
            rows: shape (n, width).
            rng: draws a sample where there are many rows.
        """
        values = np.asarray(sampled_rows(rows, rng), np.float32)
        mean = values.mean(axis=0)
        axes = principal_axes(values - mean, DIRECTIONS)
        return cls(mean, np.ascontiguousarray(axes.T, np.float32))


@dataclass(frozen=True, slots=True)
class DistanceShrinkage:
    """The factor of the logits by distance: exp(-steepness * (distance - near)).

    It is 1 up to the distance `near`, and at least exp(-LEAST_LOG), so that the best guess stays one.

    Attributes:
        near: the distance from which on logits shrink.
        steepness: how fast they do.
    """

    near: float = 0.0
    steepness: float = 0.0

    @classmethod
    def fit(
        cls, logits: Values, classes: Indices, distances: Values, near: float, temperature: float
    ) -> Self:
        """The steepness under which the true classes of clips of foreign corpora are most likely.

        Args:
            logits: of clips by networks that were trained on nothing of their corpus, shape (n, classes), n >
                0.
            classes: the true ones, shape (n,).
            distances: shape (n,).
            near: a distance within which the network's own corpus lies.
            temperature: of clips that are near.
        """

        def loss(steepness: float) -> float:
            shrunk = logits * (cls(near, steepness)(distances) / temperature)[:, np.newaxis]
            return float(-np.take_along_axis(log_softmax(shrunk, axis=1), classes[:, None], axis=1).mean())

        # Each of them, since there may be more than one valley.
        return cls(near, min((0.0, *np.geomspace(0.1, STEEPEST, 100).tolist()), key=loss))

    def __call__(self, distances: Values) -> Values:
        """The factors of the logits, shape (n,)."""
        return np.exp(-np.clip(self.steepness * (distances - self.near), 0.0, LEAST_LOG))
