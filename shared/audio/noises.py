"""The level of a voice, and noise a given number of decibels below it.

SciPy, soxr and librosa have neither coloured noise nor the level of the voiced part alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from shared.audio.arrays import Floats
from shared.audio.levels import FRAME_S, LOUD_SHARE, VOICE_DB

# Exponents of the frequency by which the power falls.
WHITE, PINK, BROWN = 0.0, 1.0, 2.0
FLAT_BELOW_HZ = 20.0  # else brown noise would be an inaudible drift
VOICES = 6  # talking at once: their words can no longer be understood
QUIETEST = 1e-9  # full scale = 1: of nothing, no ratio can be taken


def voice_level(samples: Floats, sampling_rate: int) -> float:
    """The root mean square of the voiced part.

    It takes all frames of 20 ms that are within 30 dB of the level which the loudest twentieth of them
    reaches, so pauses and silence do not count. A constant offset is removed first.

    Args:
        samples: shape (n,).
        sampling_rate: in Hz.

    Returns:
        The level; full scale is 1.

    Source: in the manner of the active speech level of ITU-T P.56.
    """
    if not len(samples):
        return 0.0
    sound = samples - samples.mean(dtype=np.float64)
    frame = round(FRAME_S * sampling_rate)
    if len(sound) < frame:
        return float(np.sqrt(np.square(sound).mean()))
    powers = np.square(sound[: len(sound) // frame * frame]).reshape(-1, frame).mean(axis=1)
    is_voice = powers >= np.quantile(powers, 1 - LOUD_SHARE) * 10 ** (-VOICE_DB / 10)
    return float(np.sqrt(powers[is_voice].mean()))


def coloured(n: int, sampling_rate: int, exponent: float, rng: np.random.Generator) -> Floats:
    """Gaussian noise with a falling spectrum and a root mean square of 1.

    Args:
        n: the number of samples.
        sampling_rate: in Hz.
        exponent: the power falls by frequency ** -exponent above 20 Hz: WHITE, PINK, BROWN or anything
            between.
        rng: gives the random numbers.

    Returns:
        Shape (n,).
    """
    if n == 0:
        return np.empty(0, np.float32)
    size = next_fast_len(n, real=True)
    spectrum = rfft(rng.normal(0, 1, size))
    spectrum /= np.maximum(rfftfreq(size, 1 / sampling_rate), FLAT_BELOW_HZ) ** (exponent / 2)
    return _even(np.asarray(irfft(spectrum, size))[:n])


def babble(
    n: int, sampling_rate: int, pool: Sequence[Floats], rng: np.random.Generator, voices: int = VOICES
) -> Floats:
    """Several recordings at once, each as loud as the others, with a root mean square of 1.

    Each begins at a random place and is repeated. Whose voices are in the pool is the caller's concern: no
    test speaker may be heard in training, not even like this.

    Args:
        n: the number of samples.
        sampling_rate: in Hz.
        pool: recordings of that rate, shape (m,) each, m > 0.
        rng: gives the random numbers.
        voices: how many recordings are mixed.

    Returns:
        Shape (n,).
    """
    together = np.zeros(n)
    for place in rng.choice(len(pool), voices, replace=len(pool) < voices):
        voice = pool[place]
        begun = np.roll(voice, -int(rng.integers(len(voice))))
        together += np.resize(begun, n) / max(voice_level(voice, sampling_rate), QUIETEST)
    return _even(together)


def with_noise(samples: Floats, sampling_rate: int, noise: Floats, snr_db: float) -> Floats:
    """Add noise to samples at a given signal-to-noise ratio.

    Args:
        samples: shape (n,).
        sampling_rate: in Hz.
        noise: with a root mean square of 1, shape (n,).
        snr_db: how far the noise is below the level of the voiced part (`voice_level`). The mean level of the
            recording would not do: long pauses lower it.

    Returns:
        Shape (n,).
    """
    return np.asarray(
        samples + noise * voice_level(samples, sampling_rate) * 10 ** (-snr_db / 20), np.float32
    )


def _even(sound: NDArray[np.float64]) -> Floats:
    return np.asarray(sound / max(float(np.sqrt(np.square(sound).mean())), QUIETEST), np.float32)
