"""Window functions and mel filter banks without the libraries that make them.

librosa.filters imports numba, and scipy.signal half of SciPy: with them `voxmood classify` took 2.0 s of CPU
for one recording, without them it takes 0.8. The banks are librosa's own, stored in filters.npz by `python -m
shared.audio.filters`; a bank that is not stored is computed by librosa.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.spec import VOICE_V7

KEPT = Path(__file__).with_suffix(".npz")


def hann(n: int) -> NDArray[np.float64]:
    """A Hann window of n samples, shape (n,), equal to scipy.signal.get_window("hann", n) to the last bit."""
    return np.asarray(0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, n + 1)))[:-1]


@lru_cache
def mel(sampling_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Floats:
    """A mel filter bank.

    Args:
        sampling_rate: in Hz.
        n_fft: of the transform, in samples.
        n_mels: the number of bands.
        fmin: the lowest frequency, in Hz.
        fmax: the highest frequency, in Hz.

    Returns:
        Shape (n_mels, 1 + n_fft/2).

    Source: librosa.filters.mel.
    """
    name = f"mel {sampling_rate} {n_fft} {n_mels} {fmin:g} {fmax:g}"
    with np.load(KEPT, allow_pickle=False) as kept:
        if name in kept.files:
            return np.asarray(kept[name])
    return _of_librosa(sampling_rate, n_fft, n_mels, fmin, fmax)


def _of_librosa(sampling_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Floats:
    from librosa.filters import mel as make

    return np.asarray(make(sr=sampling_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax))


def keep() -> None:
    """Write the banks of the specs that ship to filters.npz."""
    spec = VOICE_V7
    given = spec.sampling_rate, spec.n_fft, spec.n_mels, spec.fmin, spec.fmax
    name = "mel {} {} {} {:g} {:g}".format(*given)
    np.savez_compressed(KEPT, allow_pickle=False, **{name: _of_librosa(*given)})


if __name__ == "__main__":
    keep()
