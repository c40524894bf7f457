"""Whether there is a voice in a window, and how much of it: what a detector says every 32 ms, added up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.audio.voice_activity import CHUNK, CHUNK_S

Floats = NDArray[np.float32]
Detect = Callable[[Floats], Floats]

# Seconds of voice are the sum of the detector's probabilities, each of 32 ms. Whether there is one is asked
# of a second, since over a long window the little that noise gets would add up.
SECOND = round(1 / CHUNK_S)
# docs/decisions/012 has the figures of other limits.
LEAST_S = 0.09
# A window with half the voice of another has an eighth of its weight. Of 86 recordings that v7 accepts, so
# many keep their answer with 5 s of zeros behind them and with 10 s before: weighted by the seconds
# themselves 63 and 60, by their square 81 and 83, by their cube 84 and 84.
POWER = 3


@dataclass(frozen=True, slots=True)
class Presence:
    """seconds: of voice in the window; in_a_second: in the second that has most of it."""

    seconds: float
    in_a_second: float

    @property
    def is_voice(self) -> bool:
        return self.in_a_second >= LEAST_S


def presence(detect: Detect, samples: Floats) -> Presence:
    """How much voice a window (n,) has, n > 0; detect: a probability for each chunk of its samples.

    What is shorter than a second is heard over and over until it is one: a detector needs some time to be
    sure. Of 0.3 s in the midst of speech it misses 0.03 so, and 0.13 if they are heard once.
    """
    least = SECOND * CHUNK
    found = detect(np.resize(samples, least) if len(samples) < least else samples)
    within = np.convolve(found, np.full(SECOND, CHUNK_S), "valid")
    return Presence(float(found.mean() * len(samples) / CHUNK * CHUNK_S), float(within.max()))


def presence_weights(seconds: NDArray[np.floating]) -> NDArray[np.float64]:
    """What each window of a recording weighs, (n,), the largest 1; seconds: of voice in each, above 0."""
    return np.asarray((seconds / seconds.max()) ** POWER, np.float64)
