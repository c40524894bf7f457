"""What conditions do to samples: spectra, levels, decays, and that a seed gives the same again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from shared.audio.arrays import Floats
from shared.audio.bands import fitted, mu_law, telephone_band, through_rate, through_telephone
from shared.audio.codecs import AMR_NB, MP3, OPUS, Codec, encoded, is_there, through_codec
from shared.audio.conditions import CLEAN, CONDITIONS, Condition, conditions
from shared.audio.noises import BROWN, PINK, WHITE, babble, coloured, voice_level, with_noise
from shared.audio.random_conditions import KINDS, random_copy, random_kinds
from shared.audio.recorder import at_peak, in_16_bits, overdriven, with_silence
from shared.audio.rooms import impulse_response, in_a_room
from shared.audio.synthesis import speech_like
from shared.core.errors.models import UnknownCondition
from shared.core.errors.recordings import NeedsAv

HZ = 16000


@pytest.fixture(scope="module")
def voice() -> Floats:
    return speech_like("angry", HZ, 2.0, seed=3)


@pytest.fixture(scope="module")
def pool() -> Sequence[Floats]:
    return [speech_like("neutral", HZ, 1.0, seed=seed) for seed in range(4, 8)]


def power(samples: Floats, low_hz: float, high_hz: float) -> float:
    hz = np.fft.rfftfreq(len(samples), 1 / HZ)
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    return float(spectrum[(hz >= low_hz) & (hz < high_hz)].mean())


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_each_condition_is_the_same_for_a_seed_and_stays_a_recording(
    condition: Condition, voice: Floats, pool: Sequence[Floats]
) -> None:
    before = voice.copy()
    one, two, other = (condition(voice, HZ, np.random.default_rng(seed), pool) for seed in (1, 1, 2))
    assert np.array_equal(voice, before)
    assert np.array_equal(one, two)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.abs(one).max() <= 1
    assert len(one) == len(voice) + {"silence-behind": 5 * HZ, "silence-before": 10 * HZ}.get(
        condition.name, 0
    )
    is_random = any(word in condition.name for word in ("white", "pink", "brown", "babble", "room"))
    assert np.array_equal(one, other) is not is_random
    assert np.array_equal(one, voice) is (condition.name == CLEAN)


def test_the_fixed_set_holds_what_the_harsh_mean_is_of() -> None:
    assert [condition.name for condition in CONDITIONS.values() if condition.is_harsh] == [
        "8khz", "11khz", "telephone", "white-20db", "white-10db", "pink-10db", "room-0.5s", "clipped",
    ]  # fmt: skip
    assert conditions(["8khz", CLEAN]) == [CONDITIONS["8khz"], CONDITIONS[CLEAN]]
    with pytest.raises(UnknownCondition, match="moon.*telephone"):
        conditions(["moon"])


def test_the_level_is_of_the_voice_and_not_of_pauses_or_offsets(voice: Floats) -> None:
    level = voice_level(voice, HZ)
    assert voice_level(with_silence(voice, HZ, 3.0, 5.0), HZ) == pytest.approx(level, rel=0.05)
    assert voice_level(voice + np.float32(0.1), HZ) == pytest.approx(level, rel=0.01)
    assert level > float(np.sqrt(np.square(voice).mean()))
    tone = np.sin(2 * np.pi * 100 * np.arange(HZ) / HZ).astype(np.float32)
    assert voice_level(tone, HZ) == pytest.approx(np.sqrt(0.5), rel=1e-3)
    assert voice_level(tone[:0], HZ) == 0
    assert voice_level(tone[:160], HZ) == pytest.approx(np.sqrt(0.5), rel=0.01)


@pytest.mark.parametrize(("exponent", "fall"), [(WHITE, 0.0), (PINK, 3.0), (BROWN, 6.0)])
def test_a_noise_falls_by_so_many_decibels_an_octave(exponent: float, fall: float) -> None:
    noise = coloured(20 * HZ, HZ, exponent, np.random.default_rng(0))
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(1)
    for low in (100, 400, 1600):
        ratio = power(noise, low, 1.4 * low) / power(noise, 2 * low, 2.8 * low)
        assert decibels(ratio) == pytest.approx(fall, abs=0.5)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_noise_lies_so_far_below_the_voiced_part(voice: Floats, snr_db: float) -> None:
    long = with_silence(voice, HZ, 2.0, 2.0)
    added = with_noise(long, HZ, coloured(len(long), HZ, WHITE, np.random.default_rng(0)), snr_db) - long
    assert decibels(voice_level(voice, HZ) ** 2 / np.square(added).mean()) == pytest.approx(snr_db, abs=0.5)


def test_babble_is_of_the_given_recordings(pool: Sequence[Floats]) -> None:
    rng = np.random.default_rng(0)
    together = babble(3 * HZ, HZ, pool, rng)
    assert together.shape == (3 * HZ,)
    assert np.sqrt(np.square(together).mean()) == pytest.approx(1)
    alone = babble(HZ, HZ, pool[:1], rng, voices=1)
    match = np.fft.irfft(np.fft.rfft(pool[0]) * np.conj(np.fft.rfft(alone)))
    assert match.max() == pytest.approx(np.linalg.norm(pool[0]) * np.linalg.norm(alone), rel=1e-3)


@pytest.mark.parametrize("rt60_s", [0.3, 0.8])
def test_a_room_decays_by_60_decibels(rt60_s: float, voice: Floats) -> None:
    response = impulse_response(HZ, rt60_s, np.random.default_rng(0))
    tail = np.square(response[1:].astype(float))
    assert decibels(tail.sum()) == pytest.approx(0, abs=0.1)  # as much as the direct sound
    early, late = tail[: len(tail) // 10].mean(), tail[-len(tail) // 10 :].mean()
    assert decibels(early / late) == pytest.approx(54, abs=1.5)
    heard = in_a_room(voice, HZ, rt60_s, np.random.default_rng(0))
    assert voice_level(heard, HZ) == pytest.approx(voice_level(voice, HZ), rel=1e-3)


def test_bands_end_where_they_should() -> None:
    noise = coloured(5 * HZ, HZ, WHITE, np.random.default_rng(0)) * np.float32(0.1)
    for narrow, low, high in (
        (through_rate(noise, HZ, 8000), 20, 4000),
        (through_rate(noise, HZ, 11025), 20, 5512),
        (telephone_band(noise, HZ), 300, 3400),
        (through_telephone(noise, HZ), 300, 3400),
    ):
        inside = power(noise, 1.2 * low, 0.9 * high)
        assert decibels(power(narrow, 1.2 * low, 0.9 * high) / inside) == pytest.approx(0, abs=1)
        assert decibels(power(narrow, 1.3 * high, 8000) / inside) < -25
        if low == 300:
            assert decibels(power(narrow, 20, 180) / inside) < -25


def test_mu_law_has_256_values(voice: Floats) -> None:
    coded = mu_law(at_peak(voice, 0), HZ)
    assert len(np.unique(coded)) <= 256
    assert np.array_equal(mu_law(coded, HZ), coded)
    assert np.corrcoef(voice, coded)[0, 1] > 0.99


@pytest.mark.parametrize("codec", [AMR_NB, OPUS, MP3], ids=lambda codec: codec.name)
def test_a_codec_leaves_the_voice_and_takes_some_of_it(codec: Codec, voice: Floats) -> None:
    if not is_there(codec):
        pytest.skip("PyAV is not installed")
    heard = through_codec(voice, HZ, codec)
    assert heard.shape == voice.shape
    assert not np.array_equal(heard, voice)
    assert voice_level(heard, HZ) == pytest.approx(voice_level(voice, HZ), rel=0.3)
    envelopes = [np.abs(samples).reshape(-1, 800).mean(axis=1) for samples in (voice, heard)]
    assert np.corrcoef(envelopes)[0, 1] > 0.95
    bits = 8 * len(encoded(voice, codec)) / 2.0
    assert bits == pytest.approx(codec.bit_rate, rel=0.2) or codec is AMR_NB  # its own rate is another


def test_without_pyav_codecs_are_not_there_and_say_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, voice: Floats, pool: Sequence[Floats]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert not CONDITIONS["opus"].is_there
    assert CONDITIONS["telephone"].is_there
    with pytest.raises(NeedsAv):
        through_codec(voice, HZ, OPUS)
    assert len(KINDS["codec"](voice, HZ, np.random.default_rng(0), pool)) == len(voice)


def test_a_recorder_clips_and_rounds(voice: Floats) -> None:
    driven = overdriven(voice, 12)
    assert np.mean(np.abs(driven) == 1) > 0.01
    assert np.abs(at_peak(voice, -40)).max() == pytest.approx(0.01)
    quiet = in_16_bits(at_peak(voice, -60))
    assert len(np.unique(quiet)) <= 67
    assert in_16_bits(np.float32([1.0, -1.0])).tolist() == [32767 / 32768, -1.0]
    assert fitted(voice[:3], 5).tolist() == [*voice[:3].tolist(), 0.0, 0.0]
    assert len(at_peak(voice[:0], 0)) == 0
    assert not at_peak(np.zeros(3, np.float32), 0).any()


def test_draws_are_one_or_two_of_all_kinds_and_the_same_for_a_seed(
    voice: Floats, pool: Sequence[Floats]
) -> None:
    rng = np.random.default_rng(0)
    many = [random_kinds(rng) for _ in range(200)]
    assert {kind for kinds in many for kind in kinds} == set(KINDS)
    assert {len(kinds) for kinds in many} == {1, 2}
    assert all(kinds == sorted(kinds, key=list(KINDS).index) for kinds in many)
    assert not any("babble" in random_kinds(rng, with_babble=False) for _ in range(100))
    copies = [random_copy(voice, HZ, np.random.default_rng(seed), pool) for seed in range(40)]
    again = [random_copy(voice, HZ, np.random.default_rng(seed), pool) for seed in range(40)]
    for copy, other in zip(copies, again, strict=True):
        assert np.array_equal(copy, other)
        assert copy.dtype == np.float32
        assert np.abs(copy).max() <= 1
        assert np.isfinite(copy).all()
        assert len(voice) <= len(copy) <= len(voice) + 8 * HZ
        assert np.abs(copy).max() > 5e-4
    assert len({copy.tobytes() for copy in copies}) == 40


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_alone_makes_another_recording(kind: str, voice: Floats, pool: Sequence[Floats]) -> None:
    for seed in range(3):
        copy = KINDS[kind](voice, HZ, np.random.default_rng(seed), pool)
        assert copy.dtype == np.float32
        assert not np.array_equal(copy, voice)
