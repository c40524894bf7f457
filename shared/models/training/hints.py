"""Embeddings of an encoder in a few numbers, as additional targets for networks that have no encoder.

A network that must also predict what the encoder computes learns better features of its own. Its serving form
does not predict them.

Source: the hints of Romero et al. 2015, arXiv:1412.6550.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.audio.features import Floats
from shared.models.training.scaling import FLATTEST_STD, Scale, principal_axes, sampled_rows

HINTS = 64  # of 3,072 numbers, the directions in which they differ most


def hints_of(embeddings: Sequence[Floats], seed: int = 0) -> Floats:
    """Hints for each version of recordings.

    Args:
        embeddings: of each version, shape (n, width); the first version is the recordings themselves, the
            others are copies.
        seed: of the sample from which the directions are computed.

    Returns:
        Shape (versions, n, HINTS), each of variance 1 over all versions. Zeros fill it up where there are
        fewer numbers or recordings, because a network of another shape would be compiled anew.
    """
    scale = Scale.of(embeddings[0])
    whole = np.concatenate([scale(version) for version in embeddings])
    whole -= whole.mean(axis=0)
    axes = principal_axes(sampled_rows(whole, np.random.default_rng(seed)), HINTS, seed)
    hints = whole @ axes.T
    hints /= hints.std(axis=0) + FLATTEST_STD
    padded = np.zeros((len(hints), HINTS), np.float32)
    padded[:, : hints.shape[1]] = hints
    return padded.reshape(len(embeddings), len(embeddings[0]), HINTS)
