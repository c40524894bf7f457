"""The serving path's features are librosa's, and do not depend on what else is in the batch."""

from __future__ import annotations

from functools import cache

import librosa
import numpy as np
import pytest

from shared.audio.baseline_features import (
    PowerSpectrogram,
    get_audio_features,
    normalize_features,
    resize_array,
)
from shared.audio.decode import decode
from shared.audio.features import features, fixed_length
from shared.audio.spec import BASELINE_V6, VOICE_V7, FeatureSpec
from shared.audio.synthesis import COLOURS, speech_like
from shared.audio.tuning import estimate_tuning
from shared.core.settings import Settings
from shared.limits import decode_limits
from tests.recordings import RAVDESS

TOLERANCE = 1e-3
LIMITS = decode_limits(Settings())


def sine(frequency: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(BASELINE_V6.n_samples) / 16000).astype(np.float32)


@cache
def synthesised() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    clips = {emotion: speech_like(emotion, seed=seed) for seed, emotion in enumerate(COLOURS)}
    return clips | {
        "short": speech_like("happy", duration_s=0.4),
        "long": speech_like("calm", duration_s=5.0),
        "quiet": 0.006 * speech_like("angry"),
        "noise": rng.normal(0, 0.1, BASELINE_V6.n_samples).astype(np.float32),
        "click": np.eye(1, BASELINE_V6.n_samples, 20_000, dtype=np.float32)[0],
        "constant": np.full(BASELINE_V6.n_samples, 0.1, np.float32),
        "tone": sine(452),
        "silence": np.zeros(BASELINE_V6.n_samples, np.float32),
    }


@pytest.mark.filterwarnings("ignore:Trying to estimate tuning from empty frequency set")
@pytest.mark.parametrize("name", synthesised())
def test_features_of_synthesised_clips_equal_librosas(name: str) -> None:
    clip = fixed_length(synthesised()[name], BASELINE_V6)
    own = features(clip[np.newaxis], BASELINE_V6)[0]
    assert own.shape == BASELINE_V6.shape == (32, 94, 2)
    assert own.dtype == np.float32
    assert np.abs(own - get_audio_features(clip)).max() < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.long)])
def test_features_of_real_clips_equal_librosas(count: int) -> None:
    files = sorted(RAVDESS.glob("*/*.flac"))
    files = files[:: max(1, len(files) // count)][:count]
    if len(files) < count:
        pytest.skip("the recordings of shared/data/ravdess are not beside the clone")
    contents = ((file.read_bytes(), file.name) for file in files)
    recordings = [decode(*content, sampling_rate=16000, seconds=3.0, limits=LIMITS) for content in contents]
    clips = np.stack([fixed_length(recording.samples, BASELINE_V6) for recording in recordings])
    own = features(clips, BASELINE_V6)
    worst = max(np.abs(mine - get_audio_features(clip)).max() for mine, clip in zip(own, clips, strict=True))
    assert worst < TOLERANCE


def test_the_voice_does_not_know_how_loud_a_recording_is() -> None:
    clip = fixed_length(speech_like("angry"), VOICE_V7)
    loud, quiet = features(np.stack([clip, clip / 100]), VOICE_V7)
    assert loud.shape == VOICE_V7.shape
    assert np.abs(loud - quiet).max() < 0.05 * np.abs(loud).max()


@pytest.mark.parametrize("spec", [BASELINE_V6, VOICE_V7], ids=["seed", "voice"])
def test_a_clips_features_do_not_depend_on_its_neighbours(spec: FeatureSpec) -> None:
    clips = np.stack([fixed_length(clip, spec) for clip in synthesised().values()])
    together = features(clips, spec)
    alone = np.concatenate([features(clip[np.newaxis], spec) for clip in clips])
    backwards = features(clips[::-1], spec)[::-1]
    assert np.array_equal(together, alone)
    assert np.array_equal(together, backwards)


def test_each_channel_is_normalised() -> None:
    own = features(fixed_length(speech_like("angry"), BASELINE_V6)[np.newaxis], BASELINE_V6)[0]
    assert own.mean(axis=(0, 1)) == pytest.approx(0, abs=1e-5)
    assert own.std(axis=(0, 1)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("cents", [-45, -20, 0, 7, 31, 48])
def test_the_tuning_equals_librosas_on_the_same_spectrogram(cents: int) -> None:
    clip = sum(sine(harmonic * 440 * 2 ** (cents / 1200)) / harmonic for harmonic in (0.5, 1, 2, 3, 4))
    power = np.abs(librosa.stft(clip, n_fft=2048, hop_length=512)) ** 2
    assert estimate_tuning(power.T) == librosa.estimate_tuning(S=power, sr=16000)


def tunings(clip: np.ndarray) -> tuple[float, float, float]:
    """librosa's; ours from float32 alone; ours with frames made exact."""
    power = np.abs(librosa.stft(clip, n_fft=2048, hop_length=512)) ** 2
    spectrogram = PowerSpectrogram(BASELINE_V6, BASELINE_V6.chroma_n_fft)
    alone = estimate_tuning(spectrogram(clip))
    made_exact = estimate_tuning(spectrogram(clip), BASELINE_V6, spectrogram.make_exact)
    return float(librosa.estimate_tuning(S=power, sr=16000)), alone, made_exact


@pytest.mark.parametrize("seed", range(8))
def test_where_float32_would_take_another_tuning_frames_are_made_exact(seed: int) -> None:
    clip = fixed_length(speech_like("angry", duration_s=1.0, seed=seed), BASELINE_V6)
    clip[20_000::2500] = 2**-15  # as dither in digital silence: its flat spectra peak by the last bit
    by_librosa, alone, made_exact = tunings(clip)
    assert made_exact == by_librosa
    assert alone != by_librosa


@pytest.mark.filterwarnings("ignore:Trying to estimate tuning from empty frequency set")
@pytest.mark.parametrize("name", synthesised())
def test_the_tuning_from_float32_equals_librosas(name: str) -> None:
    clip = fixed_length(synthesised()[name], BASELINE_V6)
    for changed in (clip, clip * np.float32(1e-6), np.round(clip * 2**7) / np.float32(2**15)):
        by_librosa, _, made_exact = tunings(changed)
        assert made_exact == by_librosa


def test_a_clip_is_cut_or_padded_at_its_end() -> None:
    clip = speech_like("happy", duration_s=4.0)
    assert np.array_equal(fixed_length(clip, BASELINE_V6), clip[:48000])
    padded = fixed_length(clip[:100], BASELINE_V6)
    assert np.array_equal(padded[:100], clip[:100])
    assert padded.shape == (48000,)
    assert not padded[100:].any()


def test_the_seeds_resize_array_cuts_and_pads() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert resize_array(array, (3, 2)).tolist() == [[0, 1], [3, 4], [0, 0]]


def test_the_seeds_normalize_features_works_channel_by_channel() -> None:
    channels = np.array([[[0, 10], [2, 30]]], np.float32)
    assert normalize_features(channels).tolist() == [[[-1, -1], [1, 1]]]
