"""How much of a window is voice, held against the loudest of its recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Counts = NDArray[np.uint16]

FRAME_S = 0.02
LEVELS = 101  # dB below full scale, 0 to 100 and more
LOUD_SHARE = 0.05  # of a window's frames; the level that so many reach is how loud its voice is
VOICE_DB = 30.0  # below the loudest window; pauses of 2,036 recordings lie 35 dB and more below their voice
# A window with half the voice of another has a quarter of its weight. Of 100 recordings with 5 s of silence
# behind them, 86 of them accepted without it, equal weights accept 31, this share itself 66, its square 85.
POWER = 2


def levels(samples: Floats, sampling_rate: int) -> Counts:
    """How many frames of 20 ms have each level: (101,), by dB below full scale; samples: (n,)."""
    frame = round(FRAME_S * sampling_rate)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.einsum("nt,nt->n", frames, frames) / frame
    decibels = -10 * np.log10(np.maximum(power, 1e-12))
    return np.bincount(np.clip(decibels, 0, LEVELS - 1).astype(int), minlength=LEVELS).astype(np.uint16)


def voice_weights(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """What each window of a recording weighs, (n,), the largest 1; counts: their `levels`, (n, 101).

    Where none has a frame, all weigh the same.
    """
    reached = np.cumsum(counts, axis=1)
    loud = (reached > LOUD_SHARE * reached[:, -1:]).argmax(axis=1)[reached[:, -1] > 0]
    if not len(loud):
        return np.ones(len(counts))
    limit = min(LEVELS - 1, int(loud.min() + VOICE_DB))
    voice = reached[:, limit] / max(1, reached[:, limit].max())
    return np.asarray(voice**POWER)
