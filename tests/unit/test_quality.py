"""A recording's bandwidth, noise and voice, against signals of which they are known."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from shared.audio.quality import Quality, QualityMeter, bandwidth, loudest_bands
from shared.audio.synthesis import speech_like

RATE = 16_000
VOICE = speech_like("angry", RATE, 4.0, seed=1).astype(np.float32)


def quality_of(samples: np.ndarray) -> Quality:
    return QualityMeter(RATE).add(np.asarray(samples, np.float32)).quality()


def noise(length: int, level: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, level, length).astype(np.float32)


def test_a_sine_of_full_scale_has_0_db_in_its_band() -> None:
    samples = np.sin(2 * np.pi * 1125 * np.arange(RATE) / RATE).astype(np.float32)
    bands = loudest_bands(samples, RATE)
    assert bands.shape == (32,)
    assert int(bands.argmax()) == 4  # 1,000 to 1,250 Hz
    assert bands.max() == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("rate", [6_000, 8_000, 11_025, 12_000])
def test_the_bandwidth_is_half_of_the_lowest_rate_on_the_way(rate: int) -> None:
    samples = noise(4 * RATE, 0.05)
    narrow = soxr.resample(soxr.resample(samples, RATE, rate, "VHQ"), rate, RATE, "VHQ")
    assert quality_of(narrow).bandwidth_hz == pytest.approx(rate / 2, abs=300)
    assert quality_of(samples).bandwidth_hz == 8000.0


@pytest.mark.parametrize("snr_db", [5, 10, 20, 30])
def test_the_noise_is_told_within_3_db_at_any_level(snr_db: int) -> None:
    half = len(VOICE) // 2
    tone = np.where(np.arange(len(VOICE)) < half, np.sin(np.arange(len(VOICE)) * 0.3), 0) * 0.2
    level = 0.2 / np.sqrt(2) / 10 ** (snr_db / 20)
    heard = tone + noise(len(VOICE), level)
    found = [quality_of(gain * heard).snr_db for gain in (1.0, 0.1, 0.01)]
    above_floor = 10 * np.log10(1 + 10 ** (snr_db / 10))
    assert found == pytest.approx([above_floor] * 3, abs=3.0)


def test_silence_around_changes_neither_noise_nor_voice() -> None:
    clean, padded = VOICE + noise(len(VOICE), 1e-3), np.zeros(len(VOICE) + 8 * RATE, np.float32)
    padded[3 * RATE : 3 * RATE + len(VOICE)] = clean
    one, other = quality_of(clean), quality_of(padded)
    assert other.snr_db == pytest.approx(one.snr_db, abs=1.0)
    assert other.voiced_s == pytest.approx(one.voiced_s, abs=0.1)
    assert other.bandwidth_hz == one.bandwidth_hz


def test_windows_together_are_the_recording() -> None:
    listener = QualityMeter(RATE)
    length = 2 * RATE
    for start in range(0, len(VOICE) - length + 1, RATE):
        listener.add(VOICE[start : start + length], new_from=0 if start == 0 else RATE)
    whole, found = quality_of(VOICE), listener.quality()
    assert (found.snr_db, found.voiced_s) == (whole.snr_db, whole.voiced_s)
    assert found.bandwidth_hz == pytest.approx(whole.bandwidth_hz, abs=500)


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.zeros(100), np.zeros(0)])
def test_of_silence_there_is_nothing_to_say(samples: np.ndarray) -> None:
    assert quality_of(samples) == Quality(0.0, 0.0, 0.0)
    assert QualityMeter(RATE).quality() == Quality(0.0, 0.0, 0.0)


def test_what_is_shorter_than_a_frame_is_measured_too() -> None:
    assert quality_of(VOICE[5000:5400]).bandwidth_hz > 0


def test_bands_that_are_all_rounding_are_no_sound() -> None:
    assert bandwidth(np.full(32, -140.0)) == 0.0
