"""Descriptors are librosa's where it has them, the pitch is what was sung, and statistics are NumPy's."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from shared.audio import pitch, statistics
from shared.audio.descriptors import Descriptors, describe, harmonics
from shared.audio.features import fixed_length
from shared.audio.spec import VOICE_V7
from shared.audio.synthesis import COLOURS, speech_like
from shared.audio.threads import one_blas_thread
from shared.audio.voice_features import melodies, voice_features

SPEC = VOICE_V7
RATE = SPEC.sampling_rate


def voice(hz: float | np.ndarray, seconds: float = 1.5) -> np.ndarray:
    """Ten harmonics, each weaker than the last, of a pitch that may move."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, int(seconds * RATE))) / RATE
    return sum(0.5 / number * np.sin(number * phase) for number in range(1, 11)).astype(np.float32) / 4


def melody(samples: np.ndarray) -> tuple[np.ndarray, Descriptors]:
    """Semitones above 1 Hz in each sounding frame."""
    one = describe(fixed_length(samples, SPEC), SPEC)
    (found,) = melodies([one], SPEC)
    return found.semitones, one


@pytest.mark.parametrize("hz", [80, 110, 196, 330, 523, 700])
def test_a_steady_pitch_is_found(hz: float) -> None:
    semitones, one = melody(voice(hz))
    inner = semitones[4:-4]  # at the edges half a window is silence
    assert np.abs(inner - 12 * np.log2(hz)).max() < 0.1
    assert one.correlations.max(axis=1)[4:-4].min() > 0.9


def test_a_glide_is_followed_without_a_leap() -> None:
    hz = 110 * 2 ** np.linspace(0, 1.5, int(2 * RATE))
    semitones, _ = melody(voice(hz, 2))
    assert np.abs(np.diff(semitones[4:-4])).max() < 1
    assert semitones[-6] - semitones[5] == pytest.approx(18, abs=1.5)


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    semitones, one = melody(noise)
    assert np.median(one.correlations.max(axis=1)) < statistics.VOICED
    assert len(semitones) == len(one.energy)


def test_the_ways_of_recordings_side_by_side_are_their_own() -> None:
    described = [
        describe(fixed_length(voice(hz, s), SPEC), SPEC) for hz, s in ((90, 0.4), (200, 3), (350, 1))
    ]
    for one, found in zip(described, melodies(described, SPEC), strict=True):
        (alone,) = melodies([one], SPEC)
        assert np.array_equal(alone.semitones, found.semitones)
        assert len(found.semitones) == len(one.energy)


def test_harmonics_are_as_loud_as_they_were_made() -> None:
    semitones, one = melody(voice(200))
    levels = harmonics(one.power, semitones, SPEC)[5:-5]
    expected = -20 * np.log10(np.arange(1, 11))
    assert np.abs(levels - levels[:, :1] - expected).max() < 1.5  # dB: a bin may lie beside the harmonic


@pytest.mark.parametrize("emotion", list(COLOURS)[:3])
def test_mel_bands_are_librosas(emotion: str) -> None:
    clip = fixed_length(speech_like(emotion), SPEC)
    one = describe(clip, SPEC)
    cut = clip[: np.flatnonzero(clip)[-1] + 1]
    power = librosa.feature.melspectrogram(
        y=cut, sr=RATE, n_fft=SPEC.n_fft, hop_length=SPEC.hop_length, n_mels=SPEC.n_mels,
        fmin=SPEC.fmin, fmax=SPEC.fmax, pad_mode="constant",
    )  # fmt: skip
    spectrum = np.abs(librosa.stft(cut, n_fft=SPEC.n_fft, hop_length=SPEC.hop_length)) ** 2
    energy = spectrum[1:-1].sum(axis=0) + (spectrum[0] + spectrum[-1]) / 2  # half of both sides
    decibels = 10 * np.log10(energy + 1e-12)
    sounding = np.flatnonzero(decibels > np.percentile(decibels, 95) - 35)
    part = slice(sounding[0], sounding[-1] + 1)
    expected = 10 * np.log10(power.T[part] + 1e-12) - np.percentile(decibels, 95)
    assert one.mel.shape == expected.shape
    assert np.abs(one.mel - expected).max() < 0.05


def test_statistics_are_numpys() -> None:
    values = np.random.default_rng(0).normal(0, 1, (37, 5)).astype(np.float32)
    mean, std, *quantiles = statistics._statistics(values).reshape(-1, 5)
    assert mean == pytest.approx(values.mean(axis=0))
    assert std == pytest.approx(values.std(axis=0))
    assert np.array(quantiles) == pytest.approx(np.quantile(values, statistics.QUANTILES, axis=0))


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE),
        np.eye(1, RATE, 5000)[0],
        np.full(RATE, 0.1),
        np.r_[np.zeros(3000), 0.1, np.zeros(100)],
        voice(150, 0.1),
        np.sin(2 * np.pi * 7000 * np.arange(RATE) / RATE),
    ],
    ids=["silence", "click", "constant", "one sample", "a tenth of a second", "whistle"],
)
def test_what_is_no_speech_has_finite_statistics_too(samples: np.ndarray) -> None:
    row = voice_features(fixed_length(samples.astype(np.float32), SPEC)[np.newaxis], SPEC)
    assert row.shape == (1, *SPEC.shape)
    assert np.isfinite(row).all()


def test_candidates_are_peaks_within_the_range_of_voices() -> None:
    one = describe(fixed_length(voice(150), SPEC), SPEC)
    semitones, strengths, correlations = pitch.candidates(one.power, SPEC)
    real = strengths > -1
    hz = 2 ** (semitones[real] / 12)
    assert hz.min() >= SPEC.f0_min * 0.99
    assert hz.max() <= SPEC.f0_max * 1.1
    assert correlations.min() >= 0
    assert correlations.max() <= 1


def test_frames_stand_behind_the_statistics_and_the_flag_says_where_they_end() -> None:
    short, long = (fixed_length(voice(150, seconds), SPEC) for seconds in (1.0, 6.4))
    rows = voice_features(np.stack([short, long]), SPEC)
    frames = rows[:, SPEC.statistics :].reshape(2, SPEC.frames, SPEC.descriptors)
    # As the features are computed: two threads of OpenBLAS's Haswell kernels sum otherwise (by 1.5e-5 dB).
    with one_blas_thread():
        one, middle = describe(short, SPEC), describe(long, SPEC).energy
        melody = melodies([one], SPEC)[0]
    n = len(one.energy)
    assert frames[0, :, -1].tolist() == [1] * n + [0] * (SPEC.frames - n)
    assert not frames[0, n:].any()
    assert np.array_equal(frames[0, :n, SPEC.bands], np.maximum(one.mel, -70))
    assert np.array_equal(frames[0, :n, -3], melody.semitones)
    assert len(middle) > SPEC.frames
    start = (len(middle) - SPEC.frames) // 2
    assert np.array_equal(frames[1, :, 0], middle[start : start + SPEC.frames])
    assert frames[1, :, -1].all()
