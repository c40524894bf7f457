"""Standardising rows of numbers, and the directions in which they vary most."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from shared.audio.features import Floats

FARTHEST = 4.0  # z-scores beyond it say no more: a silent band, another microphone
FLATTEST_STD = 1e-6
MOST_ROWS = 8192  # that directions are computed from, in 2 to 4 s


def standardised(
    values: NDArray[np.floating[Any]], mean: NDArray[np.floating[Any]], std: NDArray[np.floating[Any]]
) -> NDArray[np.floating[Any]]:
    """Z-scores, none beyond FARTHEST.

    Args:
        values: shape (…, width).
        mean: of each column, shape (width,).
        std: of each column, shape (width,).

    Returns:
        Shape (…, width).
    """
    return np.asarray(np.clip((values - mean) / std, -FARTHEST, FARTHEST))


class Scale(NamedTuple):
    """The mean and standard deviation of each column.

    Attributes:
        mean: shape (width,).
        std: shape (width,).
    """

    mean: Floats
    std: Floats

    @classmethod
    def of(cls, rows: Floats) -> Self:
        """The scale of rows of shape (n, width)."""
        return cls(rows.mean(axis=0), rows.std(axis=0) + FLATTEST_STD)

    def __call__(self, values: Floats) -> Floats:
        """Standardise values of shape (…, width)."""
        return np.asarray(standardised(values, self.mean, self.std), np.float32)


def sampled_rows(rows: NDArray[np.floating[Any]], rng: np.random.Generator) -> NDArray[np.floating[Any]]:
    """At most MOST_ROWS of the rows (n, width), drawn without replacement, in their order."""
    if len(rows) <= MOST_ROWS:
        return rows
    return rows[np.sort(rng.choice(len(rows), MOST_ROWS, replace=False))]


def principal_axes(centred: NDArray[np.floating[Any]], most: int, random_seed: int = 0) -> Floats:
    """The directions in which rows vary most.

    Args:
        centred: rows whose mean is 0, shape (n, width).
        most: how many directions are wanted.
        random_seed: of the randomised decomposition.

    Returns:
        Orthonormal rows, the first with the greatest variance: shape (most, width), or fewer where there are
        fewer rows or columns.
    """
    _, _, axes = randomized_svd(centred, min(most, *centred.shape), n_iter=2, random_state=random_seed)
    return np.asarray(axes)
