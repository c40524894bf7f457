"""What is below every voice is taken out, and windows weigh by the voice in them."""

from __future__ import annotations

import numpy as np
import pytest

from shared.audio.levels import LEVELS, levels, voice_weights
from shared.audio.rumble import without_rumble
from shared.audio.synthesis import speech_like

RATE = 16_000
VOICE = speech_like("angry", RATE, 3.0, seed=1)
SECONDS = np.arange(len(VOICE)) / RATE


@pytest.mark.parametrize("offset", [0.01, 0.1, -0.5])
def test_an_offset_changes_nothing(offset: float) -> None:
    shifted = without_rumble(VOICE + np.float32(offset), RATE)
    assert np.abs(shifted - without_rumble(VOICE, RATE)).max() < 1e-5


@pytest.mark.parametrize(("hz", "kept"), [(10, 0.0), (25, 0.001), (50, 0.07), (100, 0.99), (1000, 1.0)])
def test_tones_below_the_voice_go_and_those_of_it_stay(hz: float, kept: float) -> None:
    tone = np.sin(2 * np.pi * hz * SECONDS).astype(np.float32)
    middle = slice(RATE // 2, -RATE // 2)
    left = np.sqrt(2 * np.mean(without_rumble(tone, RATE)[middle] ** 2))
    assert left == pytest.approx(kept, abs=0.03)


def test_no_end_of_a_recording_sounds_in_the_other() -> None:
    click = np.zeros(4096 - 800, np.float32)
    click[-1] = 1.0
    assert np.abs(without_rumble(click, RATE)[:1000]).max() < 1e-3


def test_levels_are_counted_below_full_scale() -> None:
    tone = np.concatenate([np.full(320, 1.0), np.full(640, 0.1), np.zeros(330)]).astype(np.float32)
    counts = levels(tone, RATE)
    assert (len(counts), counts[0], counts[20], counts[-1], counts.sum()) == (LEVELS, 1, 2, 1, 4)


def test_a_window_weighs_by_the_square_of_the_voice_in_it() -> None:
    silence = np.zeros_like(VOICE)
    halves = np.concatenate([VOICE[: len(VOICE) // 2], silence[len(VOICE) // 2 :]])
    counts = np.stack([levels(VOICE, RATE), levels(halves, RATE), levels(silence, RATE)])
    weights = voice_weights(counts)
    assert weights[0] == 1.0
    assert weights[1] == pytest.approx(0.25, abs=0.1)
    assert weights[2] == 0.0
    assert np.array_equal(voice_weights(np.zeros((2, LEVELS), np.uint16)), [1.0, 1.0])
