"""Named conditions under which versions are judged: telephone, noise, rooms, codecs, levels.

Each alters samples of shape (n,) given their sampling rate, a random generator and, for babble, other
recordings. The same generator state gives the same samples. `CONDITIONS` is a fixed set, so that figures of
different versions can be compared; `shared.audio.random_conditions` uses the same functions at random
strength, for training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from shared.audio.arrays import Floats
from shared.audio.bands import telephone_band, through_rate, through_telephone
from shared.audio.codecs import AMR_NB, MP3, OPUS, Codec, is_there, through_codec
from shared.audio.noises import BROWN, PINK, WHITE, babble, coloured, with_noise
from shared.audio.recorder import at_peak, in_16_bits, overdriven, with_offset, with_silence
from shared.audio.rooms import in_a_room
from shared.core.errors.models import UnknownCondition

Pool = Sequence[Floats]
Alteration = Callable[[Floats, int, np.random.Generator, Pool], Floats]

CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Condition:
    """One alteration of fixed strength.

    Attributes:
        name: on the command line and in reports.
        text: for people.
        alter: the alteration, before the level is limited.
        codec: the codec that it needs PyAV for; None if it needs none.
        is_babble: whether it needs a pool of other recordings.
        is_harsh: whether it counts in the mean over harsh conditions.
    """

    name: str
    text: str
    alter: Alteration
    codec: Codec | None = None
    is_babble: bool = False
    is_harsh: bool = False

    @property
    def is_there(self) -> bool:
        """Whether this installation can compute it."""
        return self.codec is None or is_there(self.codec)

    def __call__(
        self, samples: Floats, sampling_rate: int, rng: np.random.Generator, pool: Pool = ()
    ) -> Floats:
        """Alter samples; where the result exceeds full scale, all of it is made quieter.

        Args:
            samples: shape (n,).
            sampling_rate: of the samples and of the pool, in Hz.
            rng: gives the random numbers.
            pool: recordings for babble, each of shape (m,); nobody may be among them who is judged.

        Returns:
            Shape (n,), or more where silence is added.
        """
        return within_full_scale(self.alter(samples, sampling_rate, rng, pool))


def within_full_scale(samples: Floats) -> Floats:
    """Samples of shape (n,), all divided by the peak where it exceeds 1."""
    return np.asarray(samples / max(1.0, float(np.abs(samples).max(initial=0.0))), np.float32)


def _noise(
    exponent: float, snr_db: float, samples: Floats, sampling_rate: int, rng: np.random.Generator, _pool: Pool
) -> Floats:
    noise = coloured(len(samples), sampling_rate, exponent, rng)
    return with_noise(samples, sampling_rate, noise, snr_db)


def _babble(
    snr_db: float, samples: Floats, sampling_rate: int, rng: np.random.Generator, pool: Pool
) -> Floats:
    return with_noise(samples, sampling_rate, babble(len(samples), sampling_rate, pool, rng), snr_db)


def _room(
    rt60_s: float, samples: Floats, sampling_rate: int, rng: np.random.Generator, _pool: Pool
) -> Floats:
    return in_a_room(samples, sampling_rate, rt60_s, rng)


def _codec(
    codec: Codec, samples: Floats, sampling_rate: int, _rng: np.random.Generator, _pool: Pool
) -> Floats:
    return through_codec(samples, sampling_rate, codec)


def _all() -> Iterable[Condition]:
    yield Condition(CLEAN, "as they are", lambda x, hz, rng, pool: x)
    yield Condition("8khz", "8 kHz", lambda x, hz, rng, pool: through_rate(x, hz, 8000), is_harsh=True)
    yield Condition("11khz", "11 kHz", lambda x, hz, rng, pool: through_rate(x, hz, 11025), is_harsh=True)
    yield Condition(
        "telephone",
        "telephone: 300–3400 Hz, 8 kHz, µ-law",
        lambda x, hz, rng, pool: through_telephone(x, hz),
        is_harsh=True,
    )
    yield Condition(
        "telephone-16khz", "telephone's band at 16 kHz", lambda x, hz, rng, pool: telephone_band(x, hz)
    )
    for name, codec in (("amr-nb", AMR_NB), ("opus", OPUS), ("mp3", MP3)):
        text = f"{codec.name}, {codec.bit_rate / 1000:g} kb/s"
        yield Condition(name, text, partial(_codec, codec), codec=codec)
    for colour, exponent, snr_db, is_harsh in (
        ("white", WHITE, 20, True),
        ("white", WHITE, 10, True),
        ("pink", PINK, 10, True),
        ("brown", BROWN, 10, False),
    ):
        text = f"{colour} noise, {snr_db} dB"
        yield Condition(f"{colour}-{snr_db}db", text, partial(_noise, exponent, snr_db), is_harsh=is_harsh)
    yield Condition("babble-10db", "babble of six, 10 dB", partial(_babble, 10), is_babble=True)
    for rt60_s in (0.3, 0.5, 0.8):
        text = f"room, RT60 {rt60_s} s"
        yield Condition(f"room-{rt60_s}s", text, partial(_room, rt60_s), is_harsh=rt60_s == 0.5)
    yield Condition("dc-0.01", "offset 0.01", lambda x, hz, rng, pool: with_offset(x, 0.01))
    yield Condition("dc-0.1", "offset 0.1", lambda x, hz, rng, pool: with_offset(x, 0.1))
    yield Condition(
        "clipped", "overdriven by 12 dB", lambda x, hz, rng, pool: overdriven(x, 12), is_harsh=True
    )
    for decibels in (-60, -40, -20, 0):
        yield Condition(f"peak-{-decibels}db", f"peak at {decibels} dB", partial(_level, decibels))
    yield Condition(
        "silence-behind", "5 s of silence behind", lambda x, hz, rng, pool: with_silence(x, hz, 0, 5)
    )
    yield Condition(
        "silence-before", "10 s of silence before", lambda x, hz, rng, pool: with_silence(x, hz, 10, 0)
    )


def _level(
    decibels: float, samples: Floats, _sampling_rate: int, _rng: np.random.Generator, _pool: Pool
) -> Floats:
    return in_16_bits(at_peak(samples, decibels))


# The fixed set, by name. What counts as harsh: narrow bands, noise, a room, clipping.
CONDITIONS: dict[str, Condition] = {condition.name: condition for condition in _all()}


def conditions(names: Sequence[str] = ()) -> list[Condition]:
    """The conditions of these names, or all of them.

    Raises:
        UnknownCondition: a name is none of `CONDITIONS`.
    """
    for name in names:
        if name not in CONDITIONS:
            raise UnknownCondition(condition=name, known=", ".join(CONDITIONS))
    return [CONDITIONS[name] for name in names or CONDITIONS]
