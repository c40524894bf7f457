"""What a network learns from in tests: clips that are told by their number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shared.audio.spec import ENCODED_V8, VOICE_V7
from shared.models.data.folds import Clips
from shared.models.data.splits import training_fold
from shared.models.training.fold_data import FoldData

SPEC = replace(VOICE_V7, statistics=6, frames=40, descriptors=60)
ENCODED = replace(ENCODED_V8, statistics=6, frames=40, descriptors=60, layers=(1,), pooled=4)
CLIPS, FOREIGN = 24, 10


def lesson_of(clips: Clips, spec=SPEC, draws: int = 1) -> FoldData:
    """What a clip is told by is its number, of a copy a thousand more for each; it has as many frames as its
    number says."""
    features = np.stack([_row(number, spec) for number in range(len(clips.emotions))])
    copies = np.stack([features + 1000 * (1 + draw) for draw in range(draws)]).astype(np.float16)
    available = np.stack(
        [np.isin(["angry", "calm", "sad"], clips.emotions[clips.corpora == name]) for name in clips.corpora]
    )
    return FoldData(
        spec, features, copies, clips, training_fold(clips, [], 42), ["angry", "calm", "sad"], available
    )


def _row(number: int, spec) -> np.ndarray:
    frames = np.zeros((spec.frames, spec.descriptors), np.float32)
    frames[: number + 1] = number
    frames[: number + 1, -1] = 1
    row = np.full(spec.shape, number, np.float32)
    row[spec.statistics : spec.n_voice] = frames.ravel()
    return row
