"""The voice detector: voices and no voices, at any level, and the same however long a recording is."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from shared.audio import voice_activity
from shared.audio.demonstration import recordings_of_people
from shared.audio.voice_activity import CHUNK, CHUNK_S, VoiceActivity
from shared.core.settings import REPOSITORY

RATE = voice_activity.SAMPLING_RATE
DETECTOR = REPOSITORY / "saved_models" / "detectors" / "silero-vad-6.2"
PEOPLE = {name: soundfile.read(io.BytesIO(body), dtype="float32")[0]
          for name, body in recordings_of_people().items()}  # fmt: skip
TIME = np.arange(3 * RATE) / RATE
RANDOM = np.random.default_rng(1)
NO_VOICES = {
    "white noise": RANDOM.normal(0, 0.1, len(TIME)),
    "brown noise": np.cumsum(RANDOM.normal(0, 0.01, len(TIME))),
    "a tone": 0.3 * np.sin(2 * np.pi * 440 * TIME),
    "a chord": sum(0.1 * np.sin(2 * np.pi * hz * TIME) for hz in (220, 277, 330)),
    "a siren": 0.3 * np.sin(2 * np.pi * 440 * TIME + 5 * np.sin(2 * np.pi * 5 * TIME)),
    "beeps": 0.3 * np.sin(2 * np.pi * 1000 * TIME) * (np.sin(4 * np.pi * TIME) > 0),
    "clicks": 0.5 * (RANDOM.random(len(TIME)) > 0.999),
    "hum": 0.3 * np.sin(2 * np.pi * 50 * TIME) + 0.1 * np.sin(2 * np.pi * 150 * TIME),
}


@pytest.fixture(scope="module")
def detect() -> VoiceActivity:
    with np.load(DETECTOR / "weights.npz", allow_pickle=False) as weights:
        return VoiceActivity(weights)


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("gain_db", [0, -20, -40])
def test_a_voice_is_heard_at_any_level(detect: VoiceActivity, name: str, gain_db: int) -> None:
    samples = PEOPLE[name]
    found = detect(samples * np.float32(10 ** (gain_db / 20)))
    assert found.shape == (len(samples) // CHUNK,)
    assert 1.0 < (found > 0.5).sum() * CHUNK_S < 4.0
    assert found[:10].max() < 0.5  # before the first word


@pytest.mark.parametrize("name", NO_VOICES)
def test_what_is_no_voice_is_none(detect: VoiceActivity, name: str) -> None:
    assert detect(np.asarray(NO_VOICES[name], np.float32)).max() < 0.5


def test_a_voice_in_noise_is_found_where_it_is(detect: VoiceActivity) -> None:
    samples = PEOPLE["people/angry.flac"]
    loud = np.sqrt(np.mean(samples[np.abs(samples) > 0.1 * np.abs(samples).max()] ** 2))
    around = np.pad(samples, 2 * RATE)
    noisy = around + RANDOM.normal(0, loud / 10, len(around)).astype(np.float32)
    found = detect(noisy) > 0.5
    inside = slice(2 * RATE // CHUNK, (2 * RATE + len(samples)) // CHUNK + 1)
    assert found[inside].sum() > 0.8 * (detect(samples) > 0.5).sum()
    assert found.sum() - found[inside].sum() <= 3


def test_long_recordings_are_computed_in_blocks_as_one(
    detect: VoiceActivity, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = PEOPLE["people/sad.flac"]
    whole = detect(samples)
    monkeypatch.setattr(voice_activity, "CHUNKS_AT_ONCE", 7)
    assert np.abs(detect(samples) - whole).max() < 1e-5


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 5])
def test_only_whole_chunks_are_answered(detect: VoiceActivity, count: int) -> None:
    assert detect(np.zeros(count, np.float32)).tolist() == [0.0] * (count // CHUNK)
    assert len(detect(np.full(count, 0.1, np.float32))) == count // CHUNK
