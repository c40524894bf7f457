"""Levels, offsets, clipping and silence: what a recorder does to samples before anything hears them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
QUIETEST_PEAK = 1e-9
STEPS = 2**15  # of a half-wave in 16 bits


def with_offset(samples: Floats, offset: float) -> Floats:
    """Samples (n,) and a constant, full scale = 1."""
    return np.asarray(samples + offset, np.float32)


def overdriven(samples: Floats, decibels: float) -> Floats:
    """Samples (n,) amplified until their peak is so far above full scale, and cut off there: (n,)."""
    return np.clip(at_peak(samples, decibels), -1, 1)


def at_peak(samples: Floats, decibels: float) -> Floats:
    """Samples (n,) whose peak is so many decibels above full scale; below it, where negative."""
    peak = max(float(np.abs(samples).max(initial=0.0)), QUIETEST_PEAK)
    return np.asarray(samples * (10 ** (decibels / 20) / peak), np.float32)


def in_16_bits(samples: Floats) -> Floats:
    """Samples (n,) as 16 bits each hold them: a quiet recording is a coarse one."""
    return np.asarray(np.clip(np.round(samples * STEPS), -STEPS, STEPS - 1) / STEPS, np.float32)


def with_silence(samples: Floats, sampling_rate: int, before_s: float, behind_s: float) -> Floats:
    """Samples (n,) with so many seconds of zeros before and behind them; sampling_rate in Hz."""
    return np.pad(samples, (round(before_s * sampling_rate), round(behind_s * sampling_rate)))
