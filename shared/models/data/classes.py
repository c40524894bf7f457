"""Which clips have known emotions, and the baseline's split of them."""

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
    """Separate clips of known emotions from those of unknown ones.

    Args:
        emotions: of each clip, shape (n,).
        drop: the emotions that are left out, the unknown ones.

    Returns:
        Whether each clip is known, shape (n,); the names of the known emotions; and the class of each known
        clip.

    Raises:
        TooFewRecordings: an emotion has too few clips, or there are less than two emotions.
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
    """The split of the baseline: four fifths of the clips to train and one to test, alike in each class.

    Args:
        classes: of clips 0 to n - 1, shape (n,).
        seed: of the random split.

    Returns:
        The indices of the training clips and of the test clips.
    """
    train, test = train_test_split(
        np.arange(len(classes)), test_size=TEST_SHARE, random_state=seed, stratify=classes
    )
    return train, test
