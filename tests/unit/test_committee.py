"""The committee: what its members are shown, and that the joined network says what they said."""

from __future__ import annotations

import numpy as np
import pytest

from shared.audio.spec import FUNCTIONALS_V7
from shared.emotion import committee
from shared.emotion.backend import load_keras
from shared.emotion.calibration import Logits
from shared.emotion.committee import Draws, standardised
from shared.emotion.folds import Clips, learning_fold
from shared.emotion.learning import Lesson
from shared.emotion.networks import build_towers, joined

WIDTH = FUNCTIONALS_V7.width
CLIPS = 24


@pytest.fixture
def lesson() -> Lesson:
    """Speech and song of three speakers; a clip's features are its number, a copy's a thousand more."""
    numbers = np.arange(CLIPS, dtype=np.float32)
    features = np.tile(numbers[:, np.newaxis], (1, WIDTH))
    clips = Clips(
        np.array(["angry", "calm"] * (CLIPS // 2)),
        np.array([f"{number % 3}" for number in range(CLIPS)]),
        np.array([f"{number}" for number in range(CLIPS)]),
    )
    is_song = np.arange(CLIPS) % 4 < 2
    fold = learning_fold(clips, [], 42)
    return Lesson(
        FUNCTIONALS_V7, features, features[np.newaxis] + 1000, clips, is_song, fold, ["angry", "calm"]
    )


def test_the_joined_network_says_the_mean_of_its_members() -> None:
    keras = load_keras()
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    towers = build_towers(WIDTH, 4, 3)
    towers.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=False)
    inputs = rng.normal(5, 3, (64, WIDTH)).astype(np.float32)
    mean, std = inputs.mean(axis=0), inputs.std(axis=0)
    shown = np.repeat(standardised(inputs, mean, std)[:, np.newaxis], 3, axis=1)
    for _ in range(3):  # so that the batch normalisation has seen something
        towers.train_on_batch(shown, rng.normal(0, 1, (64, 3, 4)).astype(np.float32))
    expected = np.asarray(towers(shown, training=False)).mean(axis=1)
    network = joined(towers, mean, std)
    assert Logits(network)(inputs) == pytest.approx(expected, abs=1e-4)
    assert np.asarray(network(inputs)).sum(axis=1) == pytest.approx(np.ones(64), abs=1e-5)


def test_songs_keep_their_speed_and_speech_is_heard_at_all_of_them(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committee, "standardised", lambda values, _mean, _std: values)
    monkeypatch.setattr(committee, "negatives", lambda _spec: np.full((2, WIDTH), -5, np.float32))
    monkeypatch.setattr(committee, "MIXUP", 1e-9)  # shares of 0 or 1
    train = lesson.fold.train
    draws = Draws(lesson, train, np.random.default_rng(0))
    shown: dict[int, set[bool]] = {int(number): set() for number in train}
    for _ in range(10):
        for inputs, targets in draws.epoch():
            for value, target in zip(inputs[..., 0].ravel(), targets.reshape(-1, 3), strict=True):
                if value == -5:
                    assert target.argmax() == 2
                elif value % 1 == 0:
                    number, is_copy = int(value % 1000), bool(value >= 1000)
                    shown[number].add(is_copy)
                    assert target.argmax() == number % 2
    assert all(
        speeds == ({False} if lesson.is_song[number] else {False, True}) for number, speeds in shown.items()
    )


def test_statistics_are_those_of_who_learns(lesson: Lesson) -> None:
    part = lesson.fold.crossed[0]
    draws = Draws(lesson, part.train, np.random.default_rng(0))
    assert draws.mean[0] == pytest.approx(lesson.features[part.train, 0].mean())
    assert draws.std[0] == pytest.approx(lesson.features[part.train, 0].std(), abs=1e-4)
    assert draws.n_clips == len(part.train) + len(committee.negatives(FUNCTIONALS_V7))


def test_everybody_who_learns_chooses_once(lesson: Lesson) -> None:
    chosen = np.concatenate([part.inner for part in lesson.fold.crossed])
    assert sorted(chosen) == list(range(CLIPS))
    for part in lesson.fold.crossed:
        assert not set(lesson.clips.speakers[part.train]) & set(lesson.clips.speakers[part.inner])
