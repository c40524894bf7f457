"""What an encoder makes of recordings, in few numbers, for networks without it to foretell while they learn.

A network that must also say what an encoder hears learns to hear more of it itself (after Romero et al. 2015,
arXiv:1412.6550). Its serving form does not say it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.utils.extmath import randomized_svd

from shared.audio.features import Floats

HINTS = 64  # of 3,072 numbers, the directions in which they differ most
MOST_ROWS = 8192  # that these are found from, in 2 s
FARTHEST = 4.0  # standard deviations


def hints_of(embeddings: Sequence[Floats], seed: int = 0) -> Floats:
    """Hints for each version of recordings.

    Args:
        embeddings: of each version (n, width), the first of them as the recordings are.
        seed: of the rows that directions are found from.

    Returns:
        (versions, n, HINTS), each of variance 1 over all versions; zeros behind, where there are fewer
        numbers or recordings, since a network of another shape would be compiled anew.
    """
    mean, std = embeddings[0].mean(axis=0), embeddings[0].std(axis=0) + 1e-6
    whole = np.concatenate(
        [np.clip((version - mean) / std, -FARTHEST, FARTHEST) for version in embeddings], dtype=np.float32
    )
    whole -= whole.mean(axis=0)
    rows = whole
    if len(rows) > MOST_ROWS:
        rows = rows[np.sort(np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False))]
    _, _, axes = randomized_svd(rows, min(HINTS, *rows.shape), n_iter=2, random_state=seed)
    hints = whole @ axes.T
    hints /= hints.std(axis=0) + 1e-6
    padded = np.zeros((len(hints), HINTS), np.float32)
    padded[:, : hints.shape[1]] = hints
    return padded.reshape(len(embeddings), len(embeddings[0]), HINTS)
