"""What a recorder does to samples: levels, offsets, clipping, quantisation and silence."""

from __future__ import annotations

import numpy as np

from shared.audio.arrays import Floats

QUIETEST_PEAK = 1e-9
STEPS = 2**15  # of a half-wave in 16 bits


def with_offset(samples: Floats, offset: float) -> Floats:
    """Add a constant to samples of shape (n,); full scale is 1."""
    return np.asarray(samples + offset, np.float32)


def overdriven(samples: Floats, decibels: float) -> Floats:
    """Amplify samples until their peak exceeds full scale, and clip them there.

    Args:
        samples: shape (n,).
        decibels: of the peak above full scale.

    Returns:
        Shape (n,), in [-1, 1].
    """
    return np.clip(at_peak(samples, decibels), -1, 1)


def at_peak(samples: Floats, decibels: float) -> Floats:
    """Scale samples to a peak.

    Args:
        samples: shape (n,).
        decibels: of the peak above full scale; negative: below it.

    Returns:
        Shape (n,).
    """
    peak = max(float(np.abs(samples).max(initial=0.0)), QUIETEST_PEAK)
    return np.asarray(samples * (10 ** (decibels / 20) / peak), np.float32)


def in_16_bits(samples: Floats) -> Floats:
    """Samples of shape (n,) rounded to 16 bits: a quiet recording becomes a coarse one."""
    return np.asarray(np.clip(np.round(samples * STEPS), -STEPS, STEPS - 1) / STEPS, np.float32)


def with_silence(samples: Floats, sampling_rate: int, before_s: float, behind_s: float) -> Floats:
    """Put zeros around samples.

    Args:
        samples: shape (n,).
        sampling_rate: in Hz.
        before_s: seconds of zeros before them.
        behind_s: seconds of zeros behind them.
    """
    return np.pad(samples, (round(before_s * sampling_rate), round(behind_s * sampling_rate)))
