"""The committee of v7: what its members are shown, and that the joined network says what they said."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shared.audio.spec import ENCODED_V8, VOICE_V7
from shared.emotion import committee, material, tcn, towers
from shared.emotion.backend import load_keras
from shared.emotion.calibration import Logits
from shared.emotion.folds import Clips, learning_fold
from shared.emotion.learning import Fits, Lesson
from shared.emotion.material import Material, Order
from shared.emotion.training import Recipe

SPEC = replace(VOICE_V7, statistics=6, frames=40, descriptors=60)
CLIPS = 24
FOREIGN, VOICES = 3, 2


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """Speech and song of three speakers. What a clip is told by is its number, of a copy a thousand more; it
    has as many frames as its number says."""
    monkeypatch.setattr(material, "negatives", lambda spec: np.full((FOREIGN, *spec.shape), -5, np.float32))
    monkeypatch.setattr(material, "synthesised", lambda spec: np.full((VOICES, *spec.shape), -6, np.float32))
    features = np.stack([_row(number) for number in range(CLIPS)])
    clips = Clips(
        np.array(["angry", "calm"] * (CLIPS // 2)),
        np.array([f"{number % 3}" for number in range(CLIPS)]),
        np.array([f"{number}" for number in range(CLIPS)]),
    )
    is_song = np.arange(CLIPS) % 4 < 2
    fold = learning_fold(clips, [], 42)
    return Lesson(SPEC, features, features[np.newaxis] + 1000, clips, is_song, fold, ["angry", "calm"])


def _row(number: int) -> np.ndarray:
    frames = np.zeros((SPEC.frames, SPEC.descriptors), np.float32)
    frames[: number + 1] = number
    frames[: number + 1, -1] = 1
    return np.concatenate([np.full(SPEC.statistics, number, np.float32), frames.ravel()])


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


def test_the_joined_network_says_what_its_members_say_each_by_its_share(lesson: Lesson) -> None:
    keras = load_keras()
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    of_all = Material(lesson, lesson.fold.train)
    rows = rng.normal(5, 3, (64, *SPEC.shape)).astype(np.float32)
    frames = rows[:, SPEC.statistics :].reshape(-1, SPEC.frames, SPEC.descriptors)
    frames[..., -1] = np.arange(SPEC.frames) < rng.integers(1, SPEC.frames, (64, 1))
    statistics = of_all.of_statistics(rows[:, : SPEC.statistics])
    shown = of_all.of_frames(frames) * frames[..., -1:]
    side_by_side = towers.build_towers(SPEC.statistics, 3, 2)
    members = [tcn.build_tcn(SPEC.frames, SPEC.descriptors, 3) for _ in range(2)]
    twice = np.repeat(statistics[:, np.newaxis], 2, axis=1)
    for network, inputs in ((side_by_side, twice), *((member, shown) for member in members)):
        network.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=False)
        targets = rng.normal(0, 1, network.compute_output_shape(inputs.shape)).astype(np.float32)
        for _ in range(2):  # so that the batch normalisation has seen something
            network.train_on_batch(inputs, targets)
    of_towers = np.asarray(side_by_side(twice, training=False)).mean(axis=1)
    of_members = np.mean([np.asarray(member(shown, training=False)) for member in members], axis=0)
    share = committee.SHARE_OF_TOWERS
    expected = share * of_towers + (1 - share) * of_members
    network = committee.joined(side_by_side, members, of_all)
    assert Logits(network)(rows) == pytest.approx(expected, abs=1e-3)
    assert np.asarray(network(rows)).sum(axis=1) == pytest.approx(np.ones(64), abs=1e-5)


def test_what_an_encoder_says_is_no_part_of_what_the_committee_hears(lesson: Lesson) -> None:
    spec = replace(ENCODED_V8, statistics=6, frames=40, descriptors=60, layers=(1,), pooled=4)
    behind = np.full((CLIPS, spec.pooled), np.nan, np.float32)
    features = np.concatenate([lesson.features, behind], axis=1)
    wide = replace(lesson, spec=spec, features=features, copies=features[np.newaxis] + 1000)
    one, other = (Material(given, lesson.fold.train) for given in (lesson, wide))
    order = one.order(np.random.default_rng(0))
    assert np.array_equal(other.statistics(order), one.statistics(order))
    assert np.array_equal(other.frames(order), one.frames(order))
    load_keras().utils.set_random_seed(3)
    members = [tcn.build_tcn(SPEC.frames, SPEC.descriptors, 3)]
    towers_of_both = towers.build_towers(SPEC.statistics, 3, 2)
    narrow = committee.joined(towers_of_both, members, one).predict_on_batch(lesson.features)
    heard = committee.joined(towers_of_both, members, other).predict_on_batch(np.nan_to_num(features, nan=9))
    assert np.abs(heard - narrow).max() < 1e-6


def test_songs_keep_their_speed_and_speech_is_heard_at_all_of_them(lesson: Lesson) -> None:
    of_all = Material(lesson, lesson.fold.train)
    of_all.of_statistics = _as_it_is  # type: ignore[assignment]
    heard: dict[int, set[bool]] = {number: set() for number in range(CLIPS)}
    rng = np.random.default_rng(0)
    for _ in range(10):
        shown = of_all.order(rng, 2)
        every = list(range(CLIPS + FOREIGN + VOICES))
        assert sorted(shown.places[:, 0]) == sorted(shown.places[:, 1]) == every
        rows = of_all.statistics(shown)
        assert rows.shape == (len(every), 2, SPEC.statistics)
        for value, place in zip(rows[..., 0].ravel(), shown.places.ravel(), strict=True):
            target = of_all.targets[place].argmax()
            if place >= CLIPS + FOREIGN:
                assert value == -6
                assert of_all.targets[place, 0] == of_all.targets[place, 1] > of_all.targets[place, 2]
            elif place >= CLIPS:
                assert (value, target) == (-5, 2)
            else:
                assert (value % 1000, target) == (place, place % 2)
                heard[int(place)].add(bool(value >= 1000))
    assert all(
        speeds == ({False} if lesson.is_song[number] else {False, True}) for number, speeds in heard.items()
    )


def test_scales_are_those_of_who_learns_and_of_frames_that_are_there(lesson: Lesson) -> None:
    part = lesson.fold.crossed[0]
    some = Material(lesson, part.train)
    numbers = part.train.astype(float)
    assert some.of_statistics.mean[0] == pytest.approx(numbers.mean())
    assert some.of_statistics.std[0] == pytest.approx(numbers.std(), abs=1e-4)
    there = np.repeat(numbers, part.train + 1)
    assert some.of_frames.mean[3] == pytest.approx(there.mean(), rel=1e-5)
    assert some.of_frames.std[3] == pytest.approx(there.std(), rel=1e-3)
    assert (some.of_frames.mean[-1], some.of_frames.std[-1]) == (0, 1)
    assert some.n_clips == len(part.train) + FOREIGN + VOICES


def test_behind_a_recordings_end_there_is_nothing(lesson: Lesson) -> None:
    of_all = Material(lesson, lesson.fold.train)
    frames = of_all.frames(Order(np.array([4, 9]), np.array([0, 0])))
    assert frames.shape == (2, SPEC.frames, SPEC.descriptors)
    assert not frames[0, 5:].any()
    assert not frames[1, 10:].any()
    assert frames[0, :5, -1].all()


def test_a_training_that_two_folds_have_in_common_is_done_once(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, ...]] = []

    def fit(lesson: Lesson, train: np.ndarray, recipe: Recipe, advance) -> tuple[Any, dict[str, list[float]]]:
        trained.append(tuple(train))
        advance()
        advance()
        return tcn.build_tcn(SPEC.frames, SPEC.descriptors, 3), {"loss": [1.0]}

    monkeypatch.setattr(committee, "fit_committee", fit)
    fits: Fits = {}
    steps: list[int] = []
    one, other = lesson.fold.crossed[:2]
    recipe = Recipe("", epochs=1)
    given = fits, lambda: steps.append(1), 2
    first = committee._crossed_logits(lesson, one.train, recipe, *given)
    committee._crossed_logits(lesson, other.train, recipe, *given)
    assert committee._crossed_logits(lesson, one.train, recipe, *given) is first
    assert trained == [tuple(one.train), tuple(other.train)]
    assert len(steps) == 6, "progress counts what is taken over"
    other_seed = Recipe("", epochs=1, seed=43)
    committee._crossed_logits(lesson, one.train, other_seed, *given)
    assert len(trained) == 3


def test_an_epochs_loss_is_the_mean_of_its_batches(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    class Network:
        trainable_variables = ()
        optimizer = SimpleNamespace(learning_rate=0.0, finalize_variable_values=lambda _: None)
        said = iter(range(100))

        def train_on_batch(self, *_: np.ndarray) -> int:
            return next(self.said)

    monkeypatch.setattr(tcn, "_renewed", lambda *_: Network())
    monkeypatch.setattr(tcn, "BATCH_CLIPS", 10)
    of_all = Material(lesson, lesson.fold.train)
    assert -(-of_all.n_clips // 10) == 3
    assert tcn.fit_tcn(of_all, 2, 42, lambda: None)[1] == [(0 + 1 + 2) / 3, (3 + 4 + 5) / 3]


def test_stretches_are_short_and_lie_anywhere() -> None:
    hides = tcn._stretches(2000, 30, 6, np.random.default_rng(0))
    edges = np.diff(np.pad(hides, ((0, 0), (1, 1))).astype(int), axis=1)
    assert set((edges == 1).sum(axis=1)) == {0, 1}
    assert set(hides.sum(axis=1)) == {0, 1, 2, 3, 4, 5}
    assert hides.any(axis=0).all()


def test_mixed_clips_keep_every_frame_of_both(lesson: Lesson) -> None:
    of_all = Material(lesson, lesson.fold.train)
    shown = Order(np.arange(CLIPS), np.zeros(CLIPS, int))
    frames, targets = tcn._batch(of_all, shown, np.random.default_rng(0))
    lengths = frames[..., -1].sum(axis=1)
    assert (lengths >= np.arange(1, CLIPS + 1)).all()
    assert (lengths > np.arange(1, CLIPS + 1)).any()
    assert targets.sum(axis=1) == pytest.approx(np.ones(CLIPS), abs=1e-5)


def test_everybody_who_learns_chooses_once(lesson: Lesson) -> None:
    chosen = np.concatenate([part.inner for part in lesson.fold.crossed])
    assert sorted(chosen) == list(range(CLIPS))
    for part in lesson.fold.crossed:
        assert not set(lesson.clips.speakers[part.train]) & set(lesson.clips.speakers[part.inner])
