"""A voice in a room: convolved with an impulse response that decays exponentially.

SciPy convolves; neither it nor soxr and librosa have rooms.

Source: the model of Polack 1988 (see Jot, Cerveau & Warusfel 1997, AES preprint 4629): Gaussian noise with an
exponential decay behind the direct sound.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from shared.audio.arrays import Floats
from shared.audio.noises import QUIETEST, voice_level

DIRECT_DB = 0.0  # direct sound against the room's: about the distance of a table, 1 to 2 m


def impulse_response(
    sampling_rate: int, rt60_s: float, rng: np.random.Generator, direct_db: float = DIRECT_DB
) -> Floats:
    """The impulse response of a room.

    Args:
        sampling_rate: in Hz.
        rt60_s: seconds until the reverberation has fallen by 60 dB.
        rng: gives the random numbers.
        direct_db: energy of the direct sound relative to that of the rest.

    Returns:
        Shape (rt60_s * sampling_rate,); the direct sound comes first and has amplitude 1.
    """
    n = max(2, round(rt60_s * sampling_rate))
    tail = rng.normal(0, 1, n) * 10 ** (-3 * np.arange(n) / n)
    tail[0] = 0
    response = tail / np.sqrt(np.square(tail).sum()) * 10 ** (-direct_db / 20)
    response[0] = 1
    return np.asarray(response, np.float32)


def in_a_room(
    samples: Floats, sampling_rate: int, rt60_s: float, rng: np.random.Generator, direct_db: float = DIRECT_DB
) -> Floats:
    """Samples as a microphone in a room records them, as loud as before; the tail behind the end is cut off.

    Args:
        samples: shape (n,).
        sampling_rate: in Hz.
        rt60_s: as for `impulse_response`.
        rng: gives the random numbers.
        direct_db: as for `impulse_response`.

    Returns:
        Shape (n,).
    """
    wet = fftconvolve(samples, impulse_response(sampling_rate, rt60_s, rng, direct_db))[: len(samples)]
    wet = np.asarray(wet, np.float32)
    gain = voice_level(samples, sampling_rate) / max(voice_level(wet, sampling_rate), QUIETEST)
    return np.asarray(wet * gain, np.float32)
