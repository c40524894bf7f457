"""Compile librosa's numba kernels once, at set-up: `python -m shared.audio.warmup`.

Numba stores them beside librosa (or in NUMBA_CACHE_DIR). Without that the first call takes up to 26 s.
"""

from __future__ import annotations

import numpy as np

from shared.audio.baseline_features import baseline_features, get_audio_features
from shared.audio.spec import BASELINE_V6


def warm_up() -> None:
    """Run every kernel that serving, training and the tests use."""
    noise = np.random.default_rng(0).normal(0, 0.1, BASELINE_V6.n_samples).astype(np.float32)
    baseline_features(noise[np.newaxis])
    get_audio_features(noise)


if __name__ == "__main__":
    warm_up()
