"""Whether there is a voice in a window, and how much: a detector's probabilities of every 32 ms, added up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.voice_activity import CHUNK_S, SAMPLING_RATE

Detect = Callable[[Floats], Floats]
DetectBlocks = Callable[[Floats], Iterable[Floats]]

# The detector gets everything a fourth slower, and so lower. It then misses 0.0015 of speech over all
# conditions and takes 0.019 of sounds for voices; else 0.0023 and 0.028. docs/decisions/012 says more of both
# constants.
SLOWER = 1.25
# Seconds of voice are the sum of the detector's probabilities. Whether there is a voice is decided by the
# best second, since over a long window the low probabilities of noise would add up.
LEAST_S = 0.1
# A window with half the voice of another has an eighth of its weight. Of 86 recordings that v7 accepts, so
# many keep their answer with 5 s of zeros behind them and with 10 s before: weighted by the seconds
# themselves 66 and 61, by their square 81 and 83, by their cube 84 and 83.
POWER = 3


@dataclass(frozen=True, slots=True)
class VoicePresence:
    """How much voice a window has.

    Attributes:
        seconds: of voice in the whole window.
        in_a_second: seconds of voice in the second that has most of it.
    """

    seconds: float
    in_a_second: float

    @property
    def is_voice(self) -> bool:
        """Whether there is a voice."""
        return self.in_a_second >= LEAST_S


def presence(detect: Detect, samples: Floats) -> VoicePresence:
    """How much voice a window has.

    A window shorter than a second is repeated until it lasts a second, because a detector needs some time to
    be sure: of 0.3 s in the midst of speech it misses 0.04 like this, and 0.11 without repetition.

    Args:
        detect: gives the probability of a voice in each chunk of samples.
        samples: 16 kHz, shape (n,), n > 0.
    """
    found = detect(_slowed(samples))
    return VoicePresence(float(found.mean() * len(samples) / SAMPLING_RATE), _most_in_a_second(found))


def has_voice(detect: DetectBlocks, samples: Floats) -> bool:
    """Whether there is a voice in a window: `presence(…).is_voice`, computed only up to the first voice.

    Of 3.9 s that takes a third of the time.

    Args:
        detect: gives the same probabilities in blocks.
        samples: 16 kHz, shape (n,), n > 0.
    """
    found = np.empty(0, np.float32)
    for block in detect(_slowed(samples)):
        found = np.concatenate([found, block])
        if _most_in_a_second(found) >= LEAST_S:
            return True
    return False


def _slowed(samples: Floats) -> Floats:
    heard = np.resize(samples, SAMPLING_RATE) if len(samples) < SAMPLING_RATE else samples
    return np.asarray(soxr.resample(heard, 1.0, SLOWER, quality="LQ"))


def _most_in_a_second(found: Floats) -> float:
    """Seconds of voice in the second that has most; an incomplete second is filled up with silence.

    Args:
        found: probabilities of the chunks, shape (n,).
    """
    second = round(SLOWER / CHUNK_S)
    whole = np.pad(found, (0, max(0, second - len(found))))
    return float(np.convolve(whole, np.full(second, 1 / second), "valid").max())


def presence_weights(seconds: NDArray[np.floating]) -> NDArray[np.float64]:
    """The weight of each window of a recording by how much voice it has.

    Args:
        seconds: of voice in each window, above 0, shape (n,).

    Returns:
        Shape (n,), the largest 1.
    """
    return np.asarray((seconds / seconds.max()) ** POWER, np.float64)
