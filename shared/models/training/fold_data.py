"""The data that a fold may train on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.audio.features import Floats
from shared.audio.spec import FeatureSpec
from shared.models.data.audio_data import AudioData
from shared.models.data.folds import Clips, Fold, Indices, Words

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FoldData:
    """The training side of a fold and nothing else.

    So no statistic, epoch, temperature or threshold can come from the test part.

    Attributes:
        spec: which features.
        features: shape (n, *spec.shape).
        copies: of altered copies of the same recordings, shape (copies, n, *spec.shape).
        clips: the n clips.
        fold: with indices of these n clips, and without a test.
        labels: the known emotions, sorted.
        available: which of them the corpus of each clip has, shape (n, labels).
    """

    spec: FeatureSpec
    features: Floats
    copies: NDArray[np.float16]
    clips: Clips
    fold: Fold
    labels: list[str]
    available: Mask

    @classmethod
    def of(cls, data: AudioData, clips: Clips, fold: Fold) -> Self:
        """The training side of `fold`, taken from all data."""
        used = np.unique(
            np.concatenate(
                [
                    part
                    for one in (fold, *fold.cross_validation)
                    for part in (one.train, one.validation, one.unknown_validation)
                ]
            )
        )
        # A slice is no copy, and where all clips are used there is nothing to leave out.
        where = slice(None) if len(used) == len(data.features) else used
        labels = np.unique(clips.emotions[fold.train]).tolist()
        return cls(
            data.spec,
            features=data.features[where],
            copies=data.copies[:, where],
            clips=clips.only(used),
            fold=_among(used, fold),
            labels=labels,
            available=_available(labels, clips.emotions[used], clips.corpora[used]),
        )

    def classes(self, indices: Indices) -> Indices:
        """The classes of clips of known emotions as indices of `labels`, shape (n,)."""
        return np.searchsorted(self.labels, self.clips.emotions[indices])


def _available(labels: list[str], emotions: Words, corpora: Words) -> Mask:
    """Which labels the corpus of each clip has, shape (n, labels): those that one of its clips has."""
    available = np.zeros((len(emotions), len(labels)), bool)
    for corpus in np.unique(corpora):
        available[corpora == corpus] = np.isin(labels, emotions[corpora == corpus])
    return available


def _among(used: Indices, fold: Fold) -> Fold:
    nobody = np.empty(0, np.int64)
    return replace(
        fold,
        train=np.searchsorted(used, fold.train),
        validation=np.searchsorted(used, fold.validation),
        unknown_validation=np.searchsorted(used, fold.unknown_validation),
        test=nobody,
        unknown=nobody,
        cross_validation=tuple(_among(used, part) for part in fold.cross_validation),
    )
