"""How loud a voice is, and noise so many decibels below it.

SciPy, soxr and librosa have no noise of a colour, and no level of the voiced part alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from shared.audio.levels import FRAME_S, LOUD_SHARE, VOICE_DB

Floats = NDArray[np.float32]

# Exponents of the frequency by which the power falls.
WHITE, PINK, BROWN = 0.0, 1.0, 2.0
FLAT_BELOW_HZ = 20.0  # else brown noise would be a drift that nobody hears
VOICES = 6  # talking at once: their words can no longer be told apart
QUIETEST = 1e-9  # full scale = 1: of nothing, no ratio can be taken


def voice_level(samples: Floats, sampling_rate: int) -> float:
    """The root mean square of the voiced part, full scale = 1; samples: (n,); sampling_rate in Hz.

    Of all frames of 20 ms, those within 30 dB of the level that the loudest twentieth reaches: pauses and
    silence around do not count, in the manner of ITU-T P.56's active level. A constant offset is no sound.
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
    """Gaussian noise (n,) of root mean square 1, its power falling by frequency ** -exponent from 20 Hz on.

    exponent: WHITE, PINK, BROWN, or anything between; sampling_rate in Hz.
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
    """Several recordings at once (n,), of root mean square 1, each as loud as the others.

    pool: recordings (m,) of sampling_rate Hz, m > 0. Who is among them is the caller's to see to: of those
    who judge nobody may be heard in training, not even so. Each begins somewhere and goes round.
    """
    together = np.zeros(n)
    for place in rng.choice(len(pool), voices, replace=len(pool) < voices):
        voice = pool[place]
        begun = np.roll(voice, -int(rng.integers(len(voice))))
        together += np.resize(begun, n) / max(voice_level(voice, sampling_rate), QUIETEST)
    return _even(together)


def with_noise(samples: Floats, sampling_rate: int, noise: Floats, snr_db: float) -> Floats:
    """Samples (n,) and beneath them a noise (n,) of root mean square 1.

    snr_db: how far it is below the level of the voiced part (`voice_level`), not below the recording's mean,
    which long pauses would lower.
    """
    return np.asarray(
        samples + noise * voice_level(samples, sampling_rate) * 10 ** (-snr_db / 20), np.float32
    )


def _even(sound: NDArray[np.float64]) -> Floats:
    return np.asarray(sound / max(float(np.sqrt(np.square(sound).mean())), QUIETEST), np.float32)
