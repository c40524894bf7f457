"""Which clips are of emotions to learn, and the baseline's split of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from shared.core.errors.models import TooFewRecordings

Indices = NDArray[np.int64]

TEST_SHARE = 0.2
FEWEST_CLIPS = 5  # of an emotion: one of them is for the test part


def known_classes(
    emotions: NDArray[np.str_], drop: Sequence[str]
) -> tuple[NDArray[np.bool_], list[str], Indices]:
    """Which clips (n,) are of emotions to learn, the names of these, and the class of each such clip.

    Raises TooFewRecordings.
    """
    is_known = ~np.isin(emotions, list(drop))
    labels, classes, counts = np.unique(emotions[is_known], return_inverse=True, return_counts=True)
    if len(labels) < 2 or counts.min() < FEWEST_CLIPS:
        fewest = int(np.argmin(counts)) if len(labels) else None
        raise TooFewRecordings(
            emotion="No emotion" if fewest is None else labels[fewest],
            clips=0 if fewest is None else counts[fewest],
            minimum=FEWEST_CLIPS,
        )
    return is_known, labels.tolist(), classes


def stratified(classes: Indices, seed: int) -> tuple[Indices, Indices]:
    """The seed's split of clips 0 to n: four fifths to train and one to test, of each class alike."""
    train, test = train_test_split(
        np.arange(len(classes)), test_size=TEST_SHARE, random_state=seed, stratify=classes
    )
    return train, test
