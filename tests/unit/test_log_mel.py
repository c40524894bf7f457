"""Whisper's log mel spectrogram: as librosa would compute it, and as an encoder is shown it."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from shared.audio.features import fixed_length
from shared.audio.log_mel import HOP_LENGTH, LOUDEST, N_MELS, encoder_input, filled_up, log_mel
from shared.audio.spec import ENCODED_V8
from shared.audio.synthesis import speech_like

RATE = 16000


def whispers(samples: np.ndarray) -> np.ndarray:
    """Whisper's audio.py, line by line, with librosa for torch."""
    power = np.abs(librosa.stft(samples, n_fft=400, hop_length=160, window="hann", pad_mode="reflect")) ** 2
    mel = librosa.filters.mel(sr=RATE, n_fft=400, n_mels=80) @ power[:, :-1]
    levels = np.log10(np.maximum(mel, 1e-10))
    levels = np.maximum(levels, levels.max() - 8.0)
    return (levels + 4.0) / 4.0


@pytest.mark.parametrize("n", [1600, 16000, 47_840])
@pytest.mark.parametrize("level", [1.0, 1e-3])
def test_it_equals_whispers_own(n: int, level: float) -> None:
    samples = speech_like("angry", duration_s=3.0)[:n] * np.float32(level)
    own = log_mel(samples)
    assert own.shape == (N_MELS, n // HOP_LENGTH)
    assert own.dtype == np.float32
    assert np.abs(own - whispers(samples)).max() < 1e-4


def test_silence_and_the_shortest_sound_have_one_too() -> None:
    assert log_mel(np.zeros(1600, np.float32)) == pytest.approx(-1.5)
    assert log_mel(np.ones(HOP_LENGTH, np.float32)).shape == (N_MELS, 1)


def test_what_is_filled_up_says_how_long_it_was() -> None:
    mels = [log_mel(speech_like("sad", duration_s=seconds)) for seconds in (0.5, 1.2)]
    batch, lengths = filled_up(mels)
    assert lengths.tolist() == [50, 120]
    assert batch.shape == (2, N_MELS, 120)
    assert np.array_equal(batch[0, :, :50], mels[0])
    assert not batch[0, :, 50:].any()


def test_neither_level_nor_silence_around_changes_what_an_encoder_is_shown() -> None:
    voice = speech_like("happy", duration_s=2.0)
    shown = encoder_input(fixed_length(voice, ENCODED_V8), ENCODED_V8)
    assert shown.max() == LOUDEST
    quiet = encoder_input(fixed_length(voice * np.float32(1e-3), ENCODED_V8), ENCODED_V8)
    assert np.abs(quiet - shown).max() < 1e-3
    padding = np.zeros(ENCODED_V8.hop_length * 60, np.float32)
    around = encoder_input(fixed_length(np.concatenate([padding, voice, padding]), ENCODED_V8), ENCODED_V8)
    assert around.shape[1] == pytest.approx(shown.shape[1], abs=16)
    assert 150 < shown.shape[1] < 210


def test_silence_can_be_shown() -> None:
    shown = encoder_input(np.zeros(ENCODED_V8.n_samples, np.float32), ENCODED_V8)
    assert np.all(shown == LOUDEST)
