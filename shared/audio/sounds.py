"""Sounds without a voice that no network is trained on: test data for voice detectors.

Each kind is a function of the sampling rate in Hz, a number of samples and a random generator, and returns
samples of shape (n,). Their levels do not matter: `sound` sets them. The sounds that networks are trained on
are in `shared.audio.synthesis.non_speech`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from shared.audio.arrays import Floats
from shared.audio.noises import BROWN, PINK, WHITE, coloured
from shared.audio.recorder import at_peak

Sound = NDArray[np.float64]
Maker = Callable[[int, int, np.random.Generator], Sound]

PEAK_DB = -30.0, 0.0  # of a sound
ROOM_DB = -70.0, -40.0  # of the noise beneath it, below its peak


def sound(kind: str, sampling_rate: int = 16_000, duration_s: float = 3.0, seed: int = 0) -> Floats:
    """One of `SOUNDS`, with the noise of a room beneath it, as there is wherever something is recorded.

    Args:
        kind: a key of `SOUNDS`.
        sampling_rate: in Hz.
        duration_s: in seconds.
        seed: of the random numbers; the same seed gives the same sound.

    Returns:
        Float32 in [-1, 1], shape (round(duration_s * sampling_rate),).
    """
    rng = np.random.default_rng(seed)
    n = round(duration_s * sampling_rate)
    made = at_peak(np.asarray(SOUNDS[kind](sampling_rate, n, rng), np.float32), 0.0)
    room = at_peak(coloured(n, sampling_rate, PINK, rng), rng.uniform(*ROOM_DB))
    return at_peak(made + room, rng.uniform(*PEAK_DB))


def _white(rate: int, n: int, rng: np.random.Generator) -> Sound:
    return coloured(n, rate, WHITE, rng).astype(np.float64)


def _pink(rate: int, n: int, rng: np.random.Generator) -> Sound:
    return coloured(n, rate, PINK, rng).astype(np.float64)


def _brown(rate: int, n: int, rng: np.random.Generator) -> Sound:
    return coloured(n, rate, BROWN, rng).astype(np.float64)


def _wind(rate: int, n: int, rng: np.random.Generator) -> Sound:
    """Noise whose level rises and falls within about a second."""
    noise = coloured(n, rate, rng.uniform(PINK, BROWN), rng)
    return np.asarray(noise * np.exp(_wander(n, rate, 1.0, rng)))


def _clicks(rate: int, n: int, rng: np.random.Generator) -> Sound:
    """Keys and knocks, each with a short decay."""
    struck = np.zeros(n)
    places = rng.integers(0, n, int(rng.uniform(2, 12) * n / rate) + 1)
    struck[places] = rng.uniform(0.2, 1, len(places)) * rng.choice([-1, 1], len(places))
    time = np.arange(round(0.1 * rate)) / rate
    ring = np.exp(-time / rng.uniform(0.001, 0.02)) * np.cos(2 * np.pi * rng.uniform(200, 4000) * time)
    return np.asarray(signal.fftconvolve(struck, ring)[:n])


def _hum(rate: int, n: int, rng: np.random.Generator) -> Sound:
    """The hum of the mains, with overtones."""
    return _harmonics(np.full(n, rng.choice([50.0, 60.0])), rate, int(rng.integers(2, 20)), rng)


def _beeps(rate: int, n: int, rng: np.random.Generator) -> Sound:
    """A tone that goes on and off."""
    time = np.arange(n) / rate
    is_on = (time * rng.uniform(0.5, 5) % 1) < rng.uniform(0.2, 0.9)
    return _harmonics(np.full(n, rng.uniform(200, 3000)), rate, int(rng.integers(1, 4)), rng) * is_on


def _chords(rate: int, n: int, rng: np.random.Generator) -> Sound:
    """Two to four plucked strings at once, with new ones every 0.2 to 1 s."""
    made, begun = np.zeros(n), 0
    while begun < n:
        length = min(n - begun, int(rng.uniform(0.2, 1.0) * rate))
        time = np.arange(length) / rate
        fades = np.minimum(time / 0.01, 1) * np.exp(-time / rng.uniform(0.2, 1.5))
        for step in rng.choice(25, int(rng.integers(2, 5)), replace=False):
            tone = _harmonics(np.full(length, 110 * 2 ** (step / 12)), rate, int(rng.integers(3, 12)), rng)
            made[begun : begun + length] += fades * tone
        begun += length
    return made


def _sirens(rate: int, n: int, rng: np.random.Generator) -> Sound:
    """A tone with overtones that glides up and down, slowly or fast."""
    low = rng.uniform(400, 800)
    phase = (np.arange(n) / rate * rng.uniform(0.2, 5) + rng.uniform()) % 1
    glide = 1 - np.abs(2 * phase - 1)
    return _harmonics(low * 2 ** (glide * rng.uniform(0.3, 1.2)), rate, int(rng.integers(2, 8)), rng)


def _engines(rate: int, n: int, rng: np.random.Generator) -> Sound:
    """20 to 120 strokes a second at a changing rate, and noise, through resonances."""
    hz = rng.uniform(20, 120) * np.exp(0.3 * _wander(n, rate, 1.0, rng))
    strokes = np.diff(np.floor(np.cumsum(hz / rate)), prepend=0.0) * np.sqrt(rate / hz)
    source = strokes + rng.uniform(0.1, 1) * rng.normal(0, 1, n)
    made = np.zeros(n)
    for _ in range(3):
        numerator, denominator = signal.iirpeak(rng.uniform(80, 1500), rng.uniform(0.7, 4), rate)
        made += signal.lfilter(numerator, denominator, source)
    return made


def _harmonics(hz: Sound, rate: int, count: int, rng: np.random.Generator) -> Sound:
    """A tone of the frequencies `hz`, shape (n,), with overtones that become weaker."""
    phase = 2 * np.pi * np.cumsum(hz) / rate
    fall = rng.uniform(0.5, 2)
    made = np.zeros(len(hz))
    for number in range(1, count + 1):
        is_below = number * hz < 0.45 * rate
        made += is_below * np.sin(number * phase + rng.uniform(0, 2 * np.pi)) / number**fall
    return made


def _wander(n: int, rate: int, seconds: float, rng: np.random.Generator) -> Sound:
    """Random numbers of variance 1, interpolated between one every so many seconds: (n,)."""
    knots = int(n / rate / seconds) + 2
    return np.interp(np.arange(n) / rate / seconds, np.arange(knots), rng.normal(0, 1, knots))


SOUNDS: dict[str, Maker] = {
    "white noise": _white, "pink noise": _pink, "brown noise": _brown, "wind": _wind, "clicks": _clicks,
    "hum": _hum, "beeps": _beeps, "chords": _chords, "sirens": _sirens, "engines": _engines,
}  # fmt: skip
