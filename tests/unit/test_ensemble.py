"""The ensemble of v8: the joined network says what its members said, and trusts itself less far away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.audio.spec import VoiceSpec
from shared.models.serving.artefacts import SHIPPED
from shared.models.serving.backend import load_keras
from shared.models.serving.manifest import Manifest
from shared.models.training import ensemble, ensemble_network, mlps, tcn
from shared.models.training.baseline import TrainingConfig
from shared.models.training.distance import DistanceShrinkage, PrincipalAxes
from shared.models.training.export import probe_inputs
from shared.models.training.fit_result import Fits, Outputs, ValidationOutputs
from shared.models.training.fold_data import FoldData
from shared.models.training.hints import HINTS
from shared.models.training.training_set import BatchOrder, TrainingSet
from tests.unit.lessons import ENCODED, SPEC, lesson_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_directions", "shallow_networks")]


@pytest.mark.parametrize("spec", [SPEC, ENCODED], ids=["alone", "with an encoder"])
def test_the_joined_network_says_what_its_members_say_each_by_its_share(fold_data: FoldData, spec) -> None:
    keras = load_keras()
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    fold_data = lesson_of(fold_data.clips, spec)
    of_all = TrainingSet(fold_data, fold_data.fold.train, fold_data.spec)
    assert of_all.width == (10 if spec is ENCODED else 6)
    rows = rng.normal(5, 3, (64, *spec.shape)).astype(np.float32)
    frames = rows[:, spec.statistics : spec.n_voice].reshape(-1, spec.frames, spec.descriptors)
    frames[..., -1] = np.arange(spec.frames) < rng.integers(1, spec.frames, (64, 1))
    rows[:, spec.statistics : spec.n_voice] = frames.reshape(64, -1)
    behind = slice(spec.n_voice, None)
    whole = of_all.of_whole(np.concatenate([rows[:, : spec.statistics], rows[:, behind]], axis=1))
    shown = of_all.of_frames(frames) * frames[..., -1:]
    side_by_side = mlps.build_mlps(of_all.width, 3, 2)
    convolutional = tcn.build_tcn(spec.frames, spec.descriptors, 3)
    twice = np.repeat(whole[:, np.newaxis], 2, axis=1)
    for network, inputs in ((side_by_side, twice), (convolutional, shown)):
        network.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=False)
        targets = rng.normal(0, 1, network.compute_output_shape(inputs.shape)).astype(np.float32)
        for _ in range(2):  # so that the batch normalisation has seen something
            network.train_on_batch(inputs, targets)
    of_mlps = np.asarray(side_by_side(twice, training=False)).mean(axis=1)
    of_convolutions = np.asarray(convolutional(shown, training=False))
    share = ensemble.share_of_mlps(spec)
    expected = share * of_mlps + (1 - share) * of_convolutions
    network = ensemble.joined(side_by_side, convolutional, of_all)
    logits, distances = ensemble._answers(network)
    assert logits(rows) == pytest.approx(expected, abs=1e-3)
    assert np.asarray(network(rows)).sum(axis=1) == pytest.approx(np.ones(64), abs=1e-5)
    outside = whole - of_all.directions.mean
    outside = outside - outside @ of_all.directions.axes @ of_all.directions.axes.T
    assert distances(rows) == pytest.approx((outside**2).mean(axis=1), abs=1e-3)


def test_a_network_trusts_itself_less_the_farther_a_recording_lies(fold_data: FoldData) -> None:
    load_keras().utils.set_random_seed(3)
    of_all = TrainingSet(fold_data, fold_data.fold.train, fold_data.spec)
    network = ensemble.joined(
        mlps.build_mlps(6, 3, 2), tcn.build_tcn(SPEC.frames, SPEC.descriptors, 3), of_all
    )
    rng = np.random.default_rng(0)
    rows = rng.normal(5, 8, (40, *SPEC.shape)).astype(np.float32)
    logits, distances = ensemble._answers(network)
    before, far = logits(rows), distances(rows)
    assert far.std() > 0.01
    is_foreign = far > np.median(far)
    # Of foreign recordings it is as sure as of its own, and wrong about all of them.
    classes = np.where(is_foreign, before.argmin(axis=1), before.argmax(axis=1))
    told = Outputs(before, np.zeros(40, bool), np.where(is_foreign, "other", ""), far)
    nobody = Outputs.together([], 3)
    chosen = ensemble.with_shrinkage(network, ValidationOutputs(told, classes, nobody, np.empty(0, np.str_)))
    after = ensemble._answers(network)[0](rows)
    assert after == pytest.approx(chosen.known.logits, rel=1e-3, abs=1e-3)
    shares = np.abs(after).max(axis=1) / np.abs(before).max(axis=1)
    assert (shares[~is_foreign] > 0.98).mean() >= 0.95, "one in a hundred of its own lies farther"
    assert np.all(np.diff(shares[np.argsort(far)]) < 1e-3)
    assert shares[far.argmax()] == pytest.approx(np.exp(-3), abs=1e-3)
    assert np.array_equal(after.argmax(axis=1), before.argmax(axis=1))


def test_trust_falls_only_beyond_what_is_near_and_as_steeply_as_the_answers_are_wrong() -> None:
    clips = 2000
    logits, distances = np.tile([5.0, 0.0], (clips, 1)), np.linspace(0, 1, clips)
    chance = np.random.default_rng(0).random(clips)
    seldom, often = (chance < share * np.maximum(0, distances - 0.5) for share in (0.2, 0.9))
    one, other, none = (
        DistanceShrinkage.fit(logits, are_wrong.astype(int), distances, near=0.5, temperature=1.0)
        for are_wrong in (seldom, often, np.zeros(clips))
    )
    assert 0.5 < one.steepness < other.steepness / 2
    assert none.steepness == 0
    assert np.all(other(distances[distances <= 0.5]) == 1)
    assert np.all(np.diff(one(distances[distances > 0.5])) < 0)


def test_directions_are_those_in_which_rows_differ_most() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (400, 2)) @ rng.normal(0, 1, (2, 30)) + rng.normal(0, 0.01, (400, 30)) + 3
    found = PrincipalAxes.of(rows.astype(np.float32), rng)
    assert found.axes.shape == (30, 2)
    assert found.axes.T @ found.axes == pytest.approx(np.eye(2), abs=1e-4)
    centred = rows - found.mean
    assert (centred - centred @ found.axes @ found.axes.T).std() < 0.02 < centred.std() / 50


def test_a_training_that_two_folds_have_in_common_is_done_once(
    fold_data: FoldData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, ...]] = []

    def training_set(_lesson: FoldData, train: np.ndarray, _spec: VoiceSpec) -> tuple[int, ...]:
        return tuple(train)

    def fit(
        train: tuple[int, ...], _recipe: TrainingConfig, advance: Any
    ) -> tuple[Any, dict[str, list[float]]]:
        trained.append(train)
        advance()
        advance()
        return None, {"loss": [1.0]}

    def answers(_network: Any) -> tuple[Any, Any]:
        number = float(len(trained))
        return (lambda rows: np.full((len(rows), 3), number)), lambda rows: np.zeros(len(rows))

    monkeypatch.setattr(ensemble, "TrainingSet", training_set)
    monkeypatch.setattr(ensemble, "fit_ensemble", fit)
    monkeypatch.setattr(ensemble, "_answers", answers)
    monkeypatch.setattr(ensemble, "with_shrinkage", lambda _, chosen: chosen)
    monkeypatch.setattr(ensemble, "fit_result", lambda _, __, chosen, *___, **____: chosen)
    fits: Fits = {}
    steps: list[int] = []

    def learn(parts: tuple[int, ...], seed: int = 42) -> ValidationOutputs:
        fold = replace(
            fold_data.fold, cross_validation=tuple(fold_data.fold.cross_validation[part] for part in parts)
        )
        some, config = replace(fold_data, fold=fold), TrainingConfig("", epochs=1, seed=seed)
        return ensemble.train_ensemble(some, config, lambda *_: steps.append(1), fits, spec=SPEC)

    first, others = fold_data.fold.cross_validation[0], fold_data.fold.cross_validation[1]
    told = learn((0,)).known.logits
    assert trained == [tuple(first.train), tuple(fold_data.fold.train)]
    again = learn((1, 0)).known.logits[-len(told) :]
    assert trained[2:] == [tuple(others.train), tuple(fold_data.fold.train)]
    assert np.array_equal(again, told)
    assert len(steps) == 10, "progress counts what is taken over"
    learn((1,), seed=43)
    assert len(trained) == 6


def test_a_network_without_an_encoder_is_given_hints_and_does_not_say_them(of_two_corpora: FoldData) -> None:
    fold_data = lesson_of(of_two_corpora.clips, ENCODED)
    train = fold_data.fold.cross_validation[0].train
    some = TrainingSet(fold_data, train, SPEC)
    assert (some.width, some.n_hints) == (6, HINTS)
    shown = BatchOrder(np.array([4, 9]), np.array([0, 1]))
    told = some.targets_and_hints(shown)
    assert np.array_equal(told[:, :6], some.targets(shown))
    assert told[1, 6:] != pytest.approx(
        some.targets_and_hints(BatchOrder(np.array([9]), np.array([0])))[0, 6:]
    )
    network, _ = ensemble.fit_ensemble(some, TrainingConfig("", epochs=1), lambda: None)
    assert network.output_shape == (None, 3)
    logits, distances = ensemble._answers(network)
    narrow = fold_data.features[:, : SPEC.n_voice]
    assert np.array_equal(logits(fold_data.features), logits(narrow))
    assert np.array_equal(distances(fold_data.features), distances(narrow))


def test_a_network_is_put_together_again_from_its_layers() -> None:
    manifest, folder = SHIPPED / "v8-small" / "manifest.json", SHIPPED / "v8-small"
    spec = Manifest.model_validate_json(manifest.read_bytes()).feature_spec
    assert isinstance(spec, VoiceSpec)
    network = load_keras().models.load_model(folder / "model.keras", compile=False)
    parts = ensemble_network.layers_of(network, spec)
    assert [kernel.shape for member in parts.members for kernel, _ in member] == 3 * [(851, 256), (256, 256)]
    again = ensemble_network.assembled(parts)
    steepness = network.get_layer(ensemble_network.BEYOND).get_weights()
    again.get_layer(ensemble_network.BEYOND).set_weights(steepness)
    inputs = probe_inputs(spec)
    assert np.abs(network.predict_on_batch(inputs) - again.predict_on_batch(inputs)).max() < 1e-5


def test_another_kind_of_network_is_not_taken_apart() -> None:
    network = load_keras().models.load_model(SHIPPED / "seed-v6" / "model.keras", compile=False)
    with pytest.raises(ValueError, match="is no ensemble"):
        ensemble_network.layers_of(network, SPEC)
