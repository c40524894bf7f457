"""Log mel spectrograms by their own loud level: 192 frames × 64 bands, 16 ms apart, for a window of 3 s."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from shared.audio.spec import LogMelSpec
from shared.audio.threads import one_blas_thread

Floats = NDArray[np.float32]

LOUD_PERCENTILE, LOUD_BELOW_PEAK = (
    95,
    20.0,
)  # of the frames' energies: a click is above it, a sentence's stressed syllables reach it
POWER_FLOOR = np.float32(1e-14)  # the square of -140 dB, far below 16 bits


def log_mel(windows: Floats, spec: LogMelSpec) -> Floats:
    """Spectrograms of windows (n, spec.n_samples): (n, frames, n_mels, 1) in dB, float32.

    0 dB is the window's loud level: the 95th percentile of its frames' energies, or 20 dB below the
    largest where sound fills less of it. So a recording made 40 dB lower looks the same, while loud and
    soft syllables stay apart. Nothing is below
    spec.floor_db. librosa.feature.melspectrogram(center=True, pad_mode="constant") in dB is the reference.
    """
    out = np.empty((len(windows), *spec.shape), np.float32)
    filters, window = _filters(spec), _window(spec)
    padded = np.zeros(spec.n_samples + spec.n_fft, np.float32)
    with one_blas_thread():
        for samples, rows in zip(windows, out, strict=True):
            padded[spec.n_fft // 2 : -spec.n_fft // 2] = samples
            frames = sliding_window_view(padded, spec.n_fft)[:: spec.hop_length][: spec.frames]
            spectrum = np.fft.rfft(frames * window)
            power = np.square(np.abs(spectrum)) @ filters
            np.maximum(_decibels(power) - _loud(power), spec.floor_db, out=rows[..., 0])
    return out


def _loud(power: Floats) -> np.float32:
    energies = _decibels(power.sum(axis=1))
    return np.float32(max(np.percentile(energies, LOUD_PERCENTILE), energies.max() - LOUD_BELOW_PEAK))


def _decibels(power: Floats) -> Floats:
    return np.asarray(10 * np.log10(power + POWER_FLOOR), np.float32)


@lru_cache
def _window(spec: LogMelSpec) -> Floats:
    return np.asarray(scipy.signal.get_window("hann", spec.n_fft), np.float32)


@lru_cache
def _filters(spec: LogMelSpec) -> Floats:
    """(1 + n_fft/2, n_mels): librosa's, from the right."""
    from librosa.filters import mel  # brings numba, which only what computes features should pay for

    weights = mel(sr=spec.sampling_rate, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.fmin, fmax=spec.fmax)
    return np.ascontiguousarray(weights.T)
