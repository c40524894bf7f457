"""Copies of recordings under random conditions, for training: one or two conditions at random strength."""

from __future__ import annotations

import numpy as np

from shared.audio.arrays import Floats
from shared.audio.bands import TELEPHONE_HZ, telephone_band, through_rate, through_telephone
from shared.audio.codecs import AMR_NB, AMR_NB_BIT_RATES, MP3, OPUS, is_there, through_codec
from shared.audio.conditions import Alteration, Pool, within_full_scale
from shared.audio.noises import BROWN, babble, coloured, with_noise
from shared.audio.recorder import at_peak, in_16_bits, overdriven, with_offset, with_silence
from shared.audio.rooms import in_a_room

MOST = 2  # conditions at once
# Ranges, both ends included; decibels, seconds, Hz, bits a second.
SNR_DB, BABBLE_DB = (0.0, 30.0), (5.0, 25.0)
RT60_S, DIRECT_DB = (0.2, 1.0), (-6.0, 12.0)
RATES_HZ = 6000.0, 12000.0
LOW_HZ, HIGH_HZ = (150.0, 400.0), (2800.0, 3800.0)
OPUS_BITS, MP3_BITS = (6000, 24000), (16000, 48000)
OFFSETS = 1e-3, 0.2
OVERDRIVE_DB, PEAK_DB = (0.0, 20.0), (-60.0, 0.0)
# Little before a voice: features of a copy are of its beginning, and must not be of silence alone.
BEFORE_S, BEHIND_S = 2.0, 6.0


def _silence(x: Floats, hz: int, rng: np.random.Generator, _pool: Pool) -> Floats:
    return with_silence(x, hz, rng.uniform(0, BEFORE_S), rng.uniform(0, BEHIND_S))


def _room(x: Floats, hz: int, rng: np.random.Generator, _pool: Pool) -> Floats:
    return in_a_room(x, hz, rng.uniform(*RT60_S), rng, rng.uniform(*DIRECT_DB))


def _noise(x: Floats, hz: int, rng: np.random.Generator, _pool: Pool) -> Floats:
    noise = coloured(len(x), hz, rng.uniform(0, BROWN), rng)
    return with_noise(x, hz, noise, rng.uniform(*SNR_DB))


def _babble(x: Floats, hz: int, rng: np.random.Generator, pool: Pool) -> Floats:
    voices = int(rng.integers(1, 9))
    return with_noise(x, hz, babble(len(x), hz, pool, rng, voices), rng.uniform(*BABBLE_DB))


def _offset(x: Floats, _hz: int, rng: np.random.Generator, _pool: Pool) -> Floats:
    offset = np.exp(rng.uniform(*np.log(OFFSETS)))
    return with_offset(x, float(offset if rng.random() < 0.5 else -offset))


def _overdriven(x: Floats, _hz: int, rng: np.random.Generator, _pool: Pool) -> Floats:
    return overdriven(x, rng.uniform(*OVERDRIVE_DB))


def _level(x: Floats, _hz: int, rng: np.random.Generator, _pool: Pool) -> Floats:
    return in_16_bits(at_peak(x, rng.uniform(*PEAK_DB)))


def _band(x: Floats, hz: int, rng: np.random.Generator, _pool: Pool) -> Floats:
    """A low sampling rate, the band of a telephone at 8 kHz or at this rate, or a telephone call."""
    kind = rng.integers(4)
    if kind == 0:
        return through_rate(x, hz, rng.uniform(*RATES_HZ))
    if kind == 1:
        return through_telephone(x, hz)
    narrow = telephone_band(x, hz, rng.uniform(*LOW_HZ), rng.uniform(*HIGH_HZ))
    return narrow if kind == 2 else through_rate(narrow, hz, TELEPHONE_HZ)


def _codec(x: Floats, hz: int, rng: np.random.Generator, _pool: Pool) -> Floats:
    """One of the codecs that are installed; a band without PyAV."""
    codecs = [codec for codec in (AMR_NB, OPUS, MP3) if is_there(codec)]
    if not codecs:
        return _band(x, hz, rng, ())
    codec = codecs[rng.integers(len(codecs))]
    if codec is AMR_NB:
        return through_codec(x, hz, codec.at(int(rng.choice(AMR_NB_BIT_RATES))))
    lowest, highest = OPUS_BITS if codec is OPUS else MP3_BITS
    return through_codec(x, hz, codec.at(int(rng.integers(lowest, highest + 1))))


# In the order in which they happen to a sound on its way from a mouth to a file; as often each.
KINDS: dict[str, Alteration] = {
    "silence": _silence,
    "room": _room,
    "noise": _noise,
    "babble": _babble,
    "overdriven": _overdriven,
    "offset": _offset,
    "band": _band,
    "codec": _codec,
    "level": _level,
}


def random_kinds(rng: np.random.Generator, *, with_babble: bool = True) -> list[str]:
    """Draw one or two kinds, in the order of `KINDS`."""
    kinds = [kind for kind in KINDS if with_babble or kind != "babble"]
    places = rng.choice(len(kinds), rng.integers(1, MOST + 1), replace=False)
    return [kinds[place] for place in sorted(places)]


def random_copy(samples: Floats, sampling_rate: int, rng: np.random.Generator, pool: Pool = ()) -> Floats:
    """A copy of a recording under one or two conditions of random strength.

    Args:
        samples: shape (n,).
        sampling_rate: of the samples and of the pool, in Hz.
        rng: gives the random numbers.
        pool: recordings to mix babble of; without it there is no babble. No test speaker may be in it, and a
            copy belongs to the same side of every split as its recording.

    Returns:
        Shape (n,), or more where silence was added: up to 2 s before and 6 s behind.
    """
    copy = samples
    for kind in random_kinds(rng, with_babble=len(pool) > 0):
        copy = within_full_scale(KINDS[kind](copy, sampling_rate, rng, pool))
    return copy
