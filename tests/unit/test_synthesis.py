"""Clips made in code: deterministic, of the shape asked for, and audibly coloured."""

import zipfile
from io import BytesIO

import numpy as np
import pytest
import soundfile

from shared.audio.decode import SILENT_PEAK
from shared.audio.demonstration import LITTER, demonstration_archive
from shared.audio.synthesis import (
    COLOURS,
    NON_SPEECH,
    flac_bytes,
    non_speech,
    speech_like,
    unique_clip,
    wav_bytes,
)
from shared.core.errors.models import UnknownEmotion


def fundamental_hz(samples: np.ndarray, sampling_rate: int) -> float:
    """Median pitch of the middle half: the autocorrelation's highest peak from 80 to 450 Hz in 50 ms."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4].astype(float)
    size = sampling_rate // 20
    frames = middle[: len(middle) // size * size].reshape(-1, size)
    autocorrelation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * size)) ** 2)
    shortest, longest = sampling_rate // 450, sampling_rate // 80
    periods = shortest + np.argmax(autocorrelation[:, shortest:longest], axis=1)
    return float(sampling_rate / np.median(periods))


def test_the_same_seed_gives_the_same_clip_and_another_seed_another():
    assert np.array_equal(speech_like("happy", seed=7), speech_like("happy", seed=7))
    assert not np.array_equal(speech_like("happy", seed=7), speech_like("happy", seed=8))
    assert len({unique_clip(seed, duration_s=0.2) for seed in range(40)}) == 40


@pytest.mark.parametrize("sampling_rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("emotion", COLOURS)
def test_a_clip_has_its_length_and_its_emotions_loudness_at_every_rate(emotion, sampling_rate):
    samples = speech_like(emotion, sampling_rate, duration_s=0.8, seed=3)
    assert samples.dtype == np.float32
    assert samples.shape == (round(0.8 * sampling_rate),)
    assert np.abs(samples).max() == pytest.approx(COLOURS[emotion].peak, abs=5e-3)


def test_an_angry_voice_is_higher_and_brighter_than_a_calm_one():
    for seed in range(5):
        angry, calm = (speech_like(emotion, seed=seed) for emotion in ("angry", "calm"))
        assert fundamental_hz(angry, 16000) > 1.15 * fundamental_hz(calm, 16000)
        power = [np.abs(np.fft.rfft(samples / samples.max())) ** 2 for samples in (angry, calm)]
        above_2_khz = [spectrum[len(spectrum) // 4 :].sum() / spectrum.sum() for spectrum in power]
        assert above_2_khz[0] > above_2_khz[1]


def test_clips_down_to_no_samples_can_be_made():
    assert [len(speech_like(duration_s=n / 16000)) for n in (0, 1, 2, 17)] == [0, 1, 2, 17]


def test_an_unknown_emotion_is_named_with_the_known_ones():
    with pytest.raises(UnknownEmotion, match=r"bored is no emotion.*neutral"):
        speech_like("bored")


@pytest.mark.parametrize(
    ("encode", "subtype", "step"),
    [
        (wav_bytes, "PCM_16", 2**-15),
        (wav_bytes, "PCM_24", 2**-23),
        (wav_bytes, "FLOAT", 0),
        (flac_bytes, "PCM_16", 2**-15),
        (flac_bytes, "PCM_24", 2**-23),
    ],
)
def test_a_file_reads_back_as_the_samples_it_was_made_of(encode, subtype, step):
    samples = np.stack([speech_like(seed=1, duration_s=0.3), speech_like(seed=2, duration_s=0.3)], axis=1)
    read, sampling_rate = soundfile.read(
        BytesIO(encode(samples, 22050, subtype)), dtype="float32", always_2d=True
    )
    assert sampling_rate == 22050
    assert np.abs(read - samples).max() <= step


def test_the_demonstration_archive_holds_as_many_recordings_as_it_says_and_litter_besides():
    first, second = BytesIO(), BytesIO()
    assert demonstration_archive(first, clips=24) == 24
    assert demonstration_archive(second, clips=24) == 24
    assert first.getvalue() == second.getvalue()
    names = zipfile.ZipFile(first).namelist()
    assert len(names) == 24 + len(LITTER)
    assert set(LITTER) < set(names)


def test_the_demonstration_archive_mixes_rates_channels_and_file_types():
    file = BytesIO()
    demonstration_archive(file)
    archive = zipfile.ZipFile(file)
    headers = [
        soundfile.info(BytesIO(archive.read(name)))
        for name in archive.namelist()
        if not name.startswith("odd/") and name not in LITTER
    ]
    assert {header.samplerate for header in headers} == {8000, 16000, 22050, 44100, 48000}
    assert {header.channels for header in headers} == {1, 2, 4}
    assert {header.subtype for header in headers} == {"PCM_16", "PCM_24", "FLOAT"}
    assert {header.format for header in headers} == {"WAV", "FLAC"}


@pytest.mark.parametrize("kind", NON_SPEECH)
def test_sounds_without_a_voice_follow_from_their_seed_and_are_no_digital_silence(kind: str) -> None:
    one, again, other = (non_speech(kind, seed=seed) for seed in (3, 3, 4))
    assert one.shape == (48000,)
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    peak = float(np.abs(one).max())
    assert SILENT_PEAK < peak <= 1
    assert (peak < 0.004) == (kind == "silence")


def test_tones_stand_still_and_noise_does_not_repeat() -> None:
    for kind, is_tonal in (("tones", True), ("noise", False)):
        power = np.abs(np.fft.rfft(non_speech(kind, seed=5) * np.hanning(48000))) ** 2
        strongest = np.sort(power)[::-1]
        assert (strongest[:150].sum() > 0.99 * power.sum()) == is_tonal
