"""Whether there is a voice: what is added up, in recordings of people and in sounds without any."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import soxr

from shared.audio.conditions import CONDITIONS
from shared.audio.decode import decode
from shared.audio.rumble import without_rumble
from shared.audio.sounds import SOUNDS, sound
from shared.audio.voice_activity import CHUNK
from shared.audio.voice_presence import POWER, SLOWER, has_voice, presence, presence_weights
from shared.core.settings import Settings
from shared.limits import decode_limits
from shared.models.data.corpora import read_corpora
from shared.models.serving.detectors import SILERO, Detector, detector
from tests.recordings import DATA
from tests.unit.people import ANGRY, NOISE, RATE

CORPORA = "ravdess", "banglaser", "emospeech", "korean"
NO_SPEECH = "background", "unknown", "emotion"  # what EmoSpeech calls places, and what nobody could tell


@pytest.fixture(scope="module")
def detect() -> Detector:
    return detector(SILERO)


def test_voice_is_added_up_over_the_window_and_asked_of_its_best_second() -> None:
    def said(samples: np.ndarray) -> np.ndarray:
        chunks = np.arange(len(samples) // CHUNK) * CHUNK / SLOWER / RATE
        return np.where((chunks >= 1) & (chunks < 1.4), 0.5, 0.0).astype(np.float32)

    some = presence(said, np.zeros(4 * RATE, np.float32))
    assert some.seconds == pytest.approx(0.2, abs=0.02)
    assert some.in_a_second == pytest.approx(0.2, abs=0.02)
    assert some.is_voice
    little = presence(lambda samples: np.full(len(samples) // CHUNK, 0.05), np.zeros(6 * RATE, np.float32))
    assert little.seconds == pytest.approx(0.3)
    assert little.in_a_second == pytest.approx(0.05)
    assert not little.is_voice


@pytest.mark.parametrize("count", [1, 100, CHUNK, 4800, RATE - 1])
def test_what_is_shorter_than_a_second_is_heard_over_and_over(count: int) -> None:
    heard = []

    def said(samples: np.ndarray) -> np.ndarray:
        heard.append(samples)
        return np.ones(len(samples) // CHUNK, np.float32)

    samples = np.sin(np.arange(count) / 20).astype(np.float32)
    found = presence(said, samples)
    assert np.array_equal(heard[0], soxr.resample(np.resize(samples, RATE), 1.0, SLOWER, quality="LQ"))
    assert found.seconds == pytest.approx(count / RATE)


def test_whether_there_is_a_voice_is_known_as_soon_as_there_was_one(detect: Detector) -> None:
    sounds = [ANGRY, ANGRY[:3000], NOISE, np.concatenate([NOISE, ANGRY]), np.zeros(RATE, np.float32)]
    sounds += [sound(kind, seed=seed) for kind in SOUNDS for seed in range(3)]
    for one in sounds:
        assert detect.has_voice(one) == detect(one).is_voice
    asked = list[int]()

    def said(samples: np.ndarray) -> Iterator[np.ndarray]:
        for number in range(len(samples) // CHUNK // 5):
            asked.append(number)
            yield np.full(5, 0.0 if number < 3 else 0.5, np.float32)

    assert has_voice(said, np.zeros(4 * RATE, np.float32))
    assert asked == [0, 1, 2, 3, 4]  # 39 chunks are a second, and two blocks of five have a tenth of it


def test_a_window_weighs_by_a_power_of_the_voice_in_it() -> None:
    assert presence_weights(np.array([1.0, 2.0, 0.01])) == pytest.approx([0.5**POWER, 1.0, 0.005**POWER])


@pytest.mark.slow
@pytest.mark.skipif(
    not all((DATA / name).is_dir() for name in CORPORA), reason=f"no recordings of {', '.join(CORPORA)}"
)
def test_of_real_recordings_under_conditions_no_more_than_one_in_fifty_has_no_voice(detect: Detector) -> None:
    limits, missed = decode_limits(Settings()), list[bool]()
    for name, dataset in read_corpora([f"{name}={DATA / name}" for name in CORPORA]).items():
        spoken = [example for example in dataset.examples if example.emotion not in NO_SPEECH]
        for example in spoken[:: len(spoken) // 20]:
            with dataset.open(example) as file:
                whole = decode(file, f"{name} {example.path}", sampling_rate=RATE, seconds=6.4, limits=limits)
            for condition in ("clean", "telephone", "white-10db", "room-0.5s", "peak-60db"):
                rng = np.random.default_rng(zlib.crc32(f"{example.path} {condition}".encode()))
                altered = CONDITIONS[condition](whole.samples, RATE, rng)
                missed.append(not detect(without_rumble(altered, RATE)).is_voice)
    assert len(missed) > 400
    assert np.mean(missed) <= 0.02


def test_of_sounds_without_a_voice_all_but_a_few_have_none(detect: Detector) -> None:
    """Strings are what it takes for voices most often, docs/decisions/012 says how often."""
    kinds = [kind for kind in SOUNDS if kind != "chords"]
    found = [
        detect(without_rumble(sound(kind, seed=seed), RATE)) for kind in kinds for seed in range(100, 110)
    ]
    assert np.mean([one.is_voice for one in found]) <= 0.03


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_sound_is_the_same_for_a_seed(kind: str) -> None:
    one, two, other = (sound(kind, RATE, 1.3, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert (len(one), one.dtype) == (round(1.3 * RATE), np.float32)
    assert 0.03 < np.abs(one).max() <= 1
