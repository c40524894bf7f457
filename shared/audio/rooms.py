"""A voice in a room: convolved with an impulse response that decays exponentially.

Polack's model (1988; see Jot, Cerveau & Warusfel 1997, AES preprint 4629): Gaussian noise under a falling
exponential, behind the direct sound. SciPy convolves; it has no rooms, and neither have soxr and librosa.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from shared.audio.noises import QUIETEST, voice_level

Floats = NDArray[np.float32]

DIRECT_DB = 0.0  # direct sound against the room's: about the distance of a table, 1 to 2 m


def impulse_response(
    sampling_rate: int, rt60_s: float, rng: np.random.Generator, direct_db: float = DIRECT_DB
) -> Floats:
    """What a room makes of one click: (rt60_s * sampling_rate,), the direct sound first, of amplitude 1.

    sampling_rate in Hz; rt60_s: seconds until the room's sound has fallen by 60 dB; direct_db: energy of the
    direct sound against that of all the rest.
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
    """Samples (n,) as a microphone in a room hears them, as loud as before: (n,), its tail behind the end cut
    off as a recorder does it. Arguments: as `impulse_response`.
    """
    heard = fftconvolve(samples, impulse_response(sampling_rate, rt60_s, rng, direct_db))[: len(samples)]
    heard = np.asarray(heard, np.float32)
    gain = voice_level(samples, sampling_rate) / max(voice_level(heard, sampling_rate), QUIETEST)
    return np.asarray(heard * gain, np.float32)
