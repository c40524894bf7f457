"""What those who learn are shown: copies, foreign corpora, hints, masks, mixtures; and who judges them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from shared.models.training import tcn
from shared.models.training.fit_result import ValidationOutputs
from shared.models.training.fold_data import FoldData
from shared.models.training.hints import HINTS, hints_of
from shared.models.training.losses import WEIGHT_OF_HINTS, hinted_crossentropy, masked_crossentropy
from shared.models.training.training_set import BatchOrder, TrainingSet
from tests.unit.lessons import CLIPS, FOREIGN, SPEC, lesson_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_directions")]


def test_every_clip_is_shown_as_it_is_and_as_life_makes_it(fold_data: FoldData) -> None:
    of_all = TrainingSet(lesson_of(fold_data.clips, draws=2), fold_data.fold.train, SPEC)
    heard: dict[int, set[int]] = {number: set() for number in range(CLIPS)}
    rng = np.random.default_rng(0)
    for _ in range(20):
        shown = of_all.order(rng, 2)
        assert sorted(shown.places[:, 0]) == sorted(shown.places[:, 1]) == list(range(CLIPS))
        targets = of_all.targets(shown)
        assert np.array_equal(targets[..., :3].argmax(axis=-1), fold_data.classes(shown.places))
        for version, place in zip(shown.versions.ravel(), shown.places.ravel(), strict=True):
            heard[int(place)].add(int(version))
    assert all(versions == {0, 1, 2} for versions in heard.values())
    shown = BatchOrder(np.array([4, 9]), np.array([0, 2]))
    frames = of_all.frames(shown)
    assert frames[1, 0, 0] > frames[0, 0, 0] or frames[1, 0, 0] == 4, "a copy's frames are its own"
    assert of_all.whole(shown)[1] == pytest.approx(np.full(6, 4)), "far beyond what standardises"


def test_a_foreign_corpus_teaches_what_it_knows_a_share_of_it_each_time(of_two_corpora: FoldData) -> None:
    of_both = TrainingSet(of_two_corpora, of_two_corpora.fold.train, of_two_corpora.spec)
    rng = np.random.default_rng(0)
    seen = set[int]()
    for _ in range(20):
        shown = of_both.order(rng)
        is_foreign = shown.places >= CLIPS
        assert is_foreign.sum() == 3
        assert sorted(shown.places[~is_foreign]) == list(range(CLIPS))
        seen |= set(shown.places[is_foreign].tolist())
        available = of_both.targets(shown)[:, 3:]
        assert np.all(available[is_foreign] == [1, 1, 0])
        assert np.all(available[~is_foreign] == 1)
        assert np.all(of_both.targets(shown)[is_foreign, 2] == 0)
    assert seen == set(range(CLIPS, CLIPS + FOREIGN))


def test_a_foreign_corpus_is_judged_by_those_who_never_heard_it(of_two_corpora: FoldData) -> None:
    parts = of_two_corpora.fold.cross_validation
    judged = [part for part in parts if np.any(part.validation >= CLIPS)]
    assert len(judged) == 1
    assert np.sum(judged[0].validation >= CLIPS) == FOREIGN
    assert np.all(judged[0].train < CLIPS)
    told = ValidationOutputs.of(of_two_corpora, judged[0], lambda rows: rows[:, :3].astype(float)).known
    assert np.array_equal(told.foreign, np.tile(np.where(judged[0].validation >= CLIPS, "other", ""), 2))
    assert np.array_equal(told.is_copy, np.repeat([False, True], len(judged[0].validation)))
    assert told.logits[~told.is_copy, 0] == pytest.approx(judged[0].validation)
    assert told.logits[told.is_copy, 0] == pytest.approx(judged[0].validation + 1000, abs=1)


def test_scales_are_those_of_who_learns_and_of_frames_that_are_there(fold_data: FoldData) -> None:
    part = fold_data.fold.cross_validation[0]
    some = TrainingSet(fold_data, part.train, fold_data.spec)
    numbers = part.train.astype(float)
    assert some.of_whole.mean[0] == pytest.approx(numbers.mean())
    assert some.of_whole.std[0] == pytest.approx(numbers.std(), abs=1e-4)
    there = np.repeat(numbers, part.train + 1)
    assert some.of_frames.mean[3] == pytest.approx(there.mean(), rel=1e-5)
    assert some.of_frames.std[3] == pytest.approx(there.std(), rel=1e-3)
    assert (some.of_frames.mean[-1], some.of_frames.std[-1]) == (0, 1)
    assert some.n_clips == len(part.train)


def test_behind_a_recordings_end_there_is_nothing(fold_data: FoldData) -> None:
    of_all = TrainingSet(fold_data, fold_data.fold.train, fold_data.spec)
    frames = of_all.frames(BatchOrder(np.array([4, 9]), np.array([0, 0])))
    assert frames.shape == (2, SPEC.frames, SPEC.descriptors)
    assert not frames[0, 5:].any()
    assert not frames[1, 10:].any()
    assert frames[0, :5, -1].all()


def test_hints_are_what_differs_most_in_what_an_encoder_makes() -> None:
    rng = np.random.default_rng(0)
    moves = rng.normal(0, 1, (2, 300, 2))
    embeddings = list(moves @ rng.normal(0, 1, (2, 40)) + rng.normal(0, 0.01, (2, 300, 40)) + 5)
    found = hints_of(embeddings)
    assert found.shape == (2, 300, HINTS)
    assert found[..., :40].reshape(-1, 40).std(axis=0) == pytest.approx(np.ones(40), abs=1e-2)
    assert not found[..., 40:].any(), "there are 40 numbers"
    first = found[..., :2].reshape(-1, 2)
    _, left, *_ = np.linalg.lstsq(first, moves.reshape(-1, 2), rcond=None)
    assert left.sum() / 600 < 0.02, "the two moves, turned"


def test_a_wrong_hint_costs_as_its_square_and_a_wrong_label_as_ever() -> None:
    truth = np.array([[1.0, 0.0, 1.0, 1.0, 0.5, -0.5]], np.float32)
    told = np.array([[2.0, 1.0, 0.5, 0.5]], np.float32)
    loss = hinted_crossentropy(2)
    of_label = float(masked_crossentropy(truth[:, :4], told[:, :2])[0])
    assert float(loss(truth[:, :4], told[:, :2])[0]) == pytest.approx(of_label)
    assert float(loss(truth, told)[0]) == pytest.approx(of_label + WEIGHT_OF_HINTS * 0.5)


def test_an_epochs_loss_is_the_mean_of_its_batches(
    fold_data: FoldData, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Network:
        trainable_variables = ()
        optimizer = SimpleNamespace(learning_rate=0.0, finalize_variable_values=lambda _: None)
        said = iter(range(100))

        def train_on_batch(self, *_: np.ndarray) -> int:
            return next(self.said)

    monkeypatch.setattr(tcn, "_fresh", lambda *_: Network())
    monkeypatch.setattr(tcn, "BATCH_CLIPS", 10)
    of_all = TrainingSet(fold_data, fold_data.fold.train, fold_data.spec)
    assert -(-of_all.n_clips // 10) == 3
    assert tcn.fit_tcn(of_all, 2, 42, lambda: None)[1] == [(0 + 1 + 2) / 3, (3 + 4 + 5) / 3]


def test_stretches_are_short_and_lie_anywhere() -> None:
    hides = tcn._stretches(2000, 30, 6, np.random.default_rng(0))
    edges = np.diff(np.pad(hides, ((0, 0), (1, 1))).astype(int), axis=1)
    assert set((edges == 1).sum(axis=1)) == {0, 1}
    assert set(hides.sum(axis=1)) == {0, 1, 2, 3, 4, 5}
    assert hides.any(axis=0).all()


def test_mixed_clips_keep_every_frame_of_both(fold_data: FoldData) -> None:
    of_all = TrainingSet(fold_data, fold_data.fold.train, fold_data.spec)
    shown = BatchOrder(np.arange(CLIPS), np.zeros(CLIPS, int))
    frames, targets = tcn._batch(of_all, shown, np.random.default_rng(0))
    lengths = frames[..., -1].sum(axis=1)
    assert (lengths >= np.arange(1, CLIPS + 1)).all()
    assert (lengths > np.arange(1, CLIPS + 1)).any()
    assert targets[:, :3].sum(axis=1) == pytest.approx(np.ones(CLIPS), abs=1e-5)


def test_everybody_who_learns_chooses_once(fold_data: FoldData) -> None:
    chosen = np.concatenate([part.validation for part in fold_data.fold.cross_validation])
    assert sorted(chosen) == list(range(CLIPS))
    for part in fold_data.fold.cross_validation:
        assert not set(fold_data.clips.speakers[part.train]) & set(fold_data.clips.speakers[part.validation])
