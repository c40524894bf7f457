"""The protocols on a few synthesised clips: trained, judged, stored, resumed, and blind to what judges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.errors.models import Leak, TooFewUnknowns, UnknownNetwork
from shared.core.settings import Settings
from shared.limits import decode_limits
from shared.models.data.audio_data import AudioData, load_audio_data
from shared.models.data.datasets import Dataset, read_dataset
from shared.models.data.folds import Clips, Fold, check
from shared.models.evaluation.fold_results import FoldResult
from shared.models.evaluation.plan import EvaluationPlan, Protocol
from shared.models.evaluation.protocols import evaluate, folds_of
from shared.models.evaluation.reports import write_report
from shared.models.training.baseline import TrainingConfig
from shared.models.training.fold_data import FoldData
from shared.models.training.recipes import RECIPES
from voxmood.cli.main import app

pytestmark = pytest.mark.slow

LIMITS = decode_limits(Settings())
CODES = {"02": "calm", "04": "sad", "05": "angry", "08": "surprised"}
DROP = ["sad", "surprised"]
PICTURES = {"confusion_matrix.png", "reliability.png", "risk_coverage.png", "class_recall.png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech and song of four actors in four emotions, and one recording twice under two names."""
    folder = tmp_path_factory.mktemp("recordings")
    for actor in range(1, 5):
        for code, emotion in CODES.items():
            for channel in (1, 2):
                samples = speech_like(emotion, duration_s=1.0, seed=10 * actor + channel)
                name = f"03-{channel:02}-{code}-01-01-01-{actor:02}.wav"
                (folder / name).write_bytes(wav_bytes(samples, 16000))
    twin = folder / "03-01-05-01-01-02-01.wav"
    twin.write_bytes((folder / "03-01-05-01-01-01-01.wav").read_bytes())
    (folder / "folds.txt").write_text("1,2,14\n3,4\n")
    return folder


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return read_dataset(folder)


@pytest.fixture(
    scope="module",
    params=["v8-small", *(pytest.param(name, marks=pytest.mark.long) for name in ("v8", "seed"))],
)
def network(request: pytest.FixtureRequest, shallow_networks: None) -> Iterator[str]:
    """With one copy of each recording instead of four, which takes a third of the time."""
    name = str(request.param)
    recipe = RECIPES[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, name, replace(recipe, copies=min(recipe.copies, 1)))
        yield name


@pytest.fixture(scope="module")
def data(dataset: Dataset, network: str) -> AudioData:
    recipe = RECIPES[network]
    return load_audio_data(dataset, dataset.examples, recipe.read_spec, LIMITS, n_copies=recipe.copies)


@pytest.fixture(scope="module")
def speaker(folder: Path, network: str) -> EvaluationPlan:
    return EvaluationPlan(Protocol.SPEAKER, network, DROP, folder / "folds.txt", epochs=2)


@pytest.fixture(scope="module")
def open_set(speaker: EvaluationPlan) -> EvaluationPlan:
    return replace(speaker, protocol=Protocol.OPEN_SET)


def run(dataset: Dataset, plan: EvaluationPlan, output: Path) -> tuple[list[FoldResult], list[str]]:
    stages: list[str] = []
    outcomes, _ = evaluate(dataset, plan, output, LIMITS, lambda stage, *_: stages.append(stage))
    return outcomes, stages


@pytest.fixture(scope="module")
def answered(
    dataset: Dataset, open_set: EvaluationPlan, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[FoldResult], Path]:
    output = tmp_path_factory.mktemp("open-set")
    outcomes, stages = run(dataset, open_set, output)
    assert "training" in stages
    return outcomes, output


def test_the_seed_protocol_puts_the_honest_choice_beside_the_seeds_habit(
    folder: Path, tmp_path: Path
) -> None:
    options = ["--drop", "sad,surprised", "--select-on-test", "--epochs", "2", "--json"]
    done = CliRunner().invoke(
        app, ["evaluate", "--data", str(folder), "--protocol", "seed", "--output", str(tmp_path), *options]
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert list(report["results"]) == ["chosen inside training", "chosen on the test part"]
    honest, habit = (report["results"][name]["all"] for name in report["results"])
    assert honest["clips"] == habit["clips"] <= 4  # a fifth of 17 clips, but for twins
    assert [fold["selects_on_test"] for fold in report["folds"]] == [False, True]
    assert report["folds"][0]["train_clips"] < report["folds"][1]["train_clips"]
    assert report["labels"] == ["angry", "calm"]
    assert report == json.loads((tmp_path / "report.json").read_text())
    text = (tmp_path / "report.md").read_text()
    assert "epoch chosen inside training" in text
    assert "epoch chosen on the test part" in text


def test_the_open_set_protocol_judges_by_the_emotion_that_set_no_threshold(
    dataset: Dataset, data: AudioData, open_set: EvaluationPlan, answered: tuple[list[FoldResult], Path]
) -> None:
    outcomes, output = answered
    report = write_report(open_set, dataset, data, outcomes, output)
    figures = report["open_set"]
    assert set(figures["scores"]) == {"top probability", "max logit", "energy", "negative entropy"}
    for score in figures["scores"].values():
        assert set(score["by_emotion"]) == set(DROP)
        assert set(score["by_kind"]) == {"silence", "noise", "tones"}
        assert 0 <= score["unknown"]["auroc"] <= 1
    sides = {(rule["set_on"], *rule["judged_on"]) for rule in figures["thresholds"]}
    assert sides == {("sad", "surprised"), ("surprised", "sad")}
    assert {(rule["rule"], rule["score"]) for rule in figures["thresholds"]} == {
        ("seed", "top probability"), ("risk", "top probability"), ("risk", "max logit"), ("risk", "energy"),
        ("risk", "negative entropy"),
    }  # fmt: skip
    assert set(report["results"]["chosen inside training"]) == {"all", "speech", "song"}
    clips = {name: part["clips"] for name, part in report["results"]["chosen inside training"].items()}
    assert clips == {"all": 17, "speech": 9, "song": 8}
    pictures = {file.name: file.stat().st_size for file in output.glob("*.png")}
    assert set(pictures) == PICTURES
    assert max(pictures.values()) < 500_000
    assert all(f"]({name})" in (output / "report.md").read_text() for name in PICTURES)


def test_finished_folds_are_taken_over_and_a_lost_one_comes_back_bit_by_bit(
    dataset: Dataset, open_set: EvaluationPlan, answered: tuple[list[FoldResult], Path]
) -> None:
    before, output = answered
    (output / "folds" / f"{before[1].facts.identity[:16]}.json").unlink()
    again, stages = run(dataset, open_set, output)
    assert stages.count("folds") == 3
    # Two epochs of one fold; the committee is of two kinds, each fitted once for all and twice crosswise.
    assert stages.count("training") == (2 if open_set.network == "seed" else 2 * 2 * (1 + 2))
    for one, two in zip(before, again, strict=True):
        assert one.facts == two.facts
        for part, heard in one.parts.items():
            assert np.array_equal(heard.logits, two.parts[part].logits)
    _, stages = run(dataset, open_set, output)
    assert "training" not in stages


def test_the_speaker_protocol_pools_over_folds_and_tells_speech_from_song(
    dataset: Dataset, data: AudioData, speaker: EvaluationPlan, tmp_path: Path
) -> None:
    outcomes, _ = run(dataset, speaker, tmp_path)
    report = write_report(speaker, dataset, data, outcomes, tmp_path)
    assert [fold["name"] for fold in report["folds"]] == [
        "seed 42, speakers 01 02",
        "seed 42, speakers 03 04",
    ]
    figures = report["results"]["chosen inside training"]["all"]
    right = [fold["accuracy"] * fold["test_clips"] for fold in report["folds"]]
    assert figures["pooled"]["accuracy"] == pytest.approx(sum(right) / 17)
    assert figures["folds"]["accuracy"]["mean"] == np.mean([fold["accuracy"] for fold in report["folds"]])
    heard = sum(map(sum, figures["pooled"]["confusion_matrix"]))
    assert heard + round(17 * figures["pooled"]["no_voice"]) == 17
    assert "open_set" not in report
    text = (tmp_path / "report.md").read_text()
    assert ("epoch chosen inside training" in text) == (speaker.network == "seed")
    assert ("the temperature is 1." in text) == (speaker.network != "seed")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--protocol", "speaker", "--select-on-test"], "habit of the protocol seed"),
        (["--protocol", "seed", "--folds", "folds.txt"], "draws clips, not speakers"),
        (["--protocol", "random"], "random"),
    ],
)
def test_wrong_usage_is_said_before_any_work(folder: Path, options: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", "--data", str(folder), *options])
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())


def test_a_question_that_cannot_be_asked_is_refused_before_any_work(
    dataset: Dataset, open_set: EvaluationPlan, tmp_path: Path
) -> None:
    with pytest.raises(TooFewUnknowns):
        run(dataset, replace(open_set, drop=["sad"]), tmp_path)
    with pytest.raises(UnknownNetwork):
        run(dataset, replace(open_set, network="larger"), tmp_path)


# --- what judges does not touch what is learnt ---------------------------------------------------
@pytest.fixture
def fold(data: AudioData, open_set: EvaluationPlan) -> Fold:
    return folds_of(open_set, Clips.of(data))[0]


def judged_by_others(data: AudioData, fold: Fold) -> AudioData:
    """The same data, but that all that judges is noise."""
    features = data.features.copy()
    judges = np.concatenate([fold.test, fold.unknown])
    copies = data.copies.copy()
    rng = np.random.default_rng(1)
    for values in (features, *copies):
        values[judges] = rng.normal(3, 5, features[judges].shape)
    return replace(data, features=features, copies=copies)


def seen(data: AudioData, fold: Fold) -> list[bytes]:
    """All that who learns gets to see of a fold's features."""
    fold_data = FoldData.of(data, Clips.of(data), fold)
    return [fold_data.features.tobytes(), fold_data.copies.tobytes()]


def test_other_judging_clips_leave_weights_epoch_temperature_and_thresholds_bit_by_bit(
    data: AudioData, open_set: EvaluationPlan, fold: Fold, answered: tuple[list[FoldResult], Path]
) -> None:
    other = judged_by_others(data, fold)
    fold_data = FoldData.of(other, Clips.of(other), fold)
    result = RECIPES[open_set.network].train(fold_data, TrainingConfig("", epochs=2), lambda *_: None, None)
    facts = answered[0][0].facts
    assert (result.digest, result.temperature) == (facts.digest, facts.temperature)
    assert result.thresholds == facts.thresholds
    assert result.best_epoch == facts.best_epoch


def test_a_statistic_over_all_clips_is_caught(data: AudioData, fold: Fold) -> None:
    def normalised(data: AudioData) -> AudioData:
        return replace(data, features=(data.features - data.features.mean()) / data.features.std())

    other = judged_by_others(data, fold)
    assert seen(data, fold) == seen(other, fold)
    assert seen(normalised(data), fold) != seen(normalised(other), fold)


@pytest.mark.parametrize(
    ("leak", "judges"),
    [("validation", "test"), ("unknown_validation", "unknown")],
    ids=["early stopping", "threshold"],
)
def test_early_stopping_or_a_threshold_by_judging_clips_is_caught(
    data: AudioData, fold: Fold, leak: str, judges: str
) -> None:
    leaky = replace(fold, **{leak: getattr(fold, judges)})
    if fold.cross_validation:
        first = replace(fold.cross_validation[0], **{leak: getattr(fold, judges)})
        leaky = replace(fold, cross_validation=(first, *fold.cross_validation[1:]))
    assert seen(data, leaky) != seen(judged_by_others(data, leaky), leaky)
    with pytest.raises(Leak, match=f"is both in its part {leak} and"):
        check(Clips.of(data), leaky)


def test_no_fold_is_trained_when_one_of_them_leaks(
    dataset: Dataset, speaker: EvaluationPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(plan: EvaluationPlan, clips: Clips) -> list[Fold]:
        folds = folds_of(plan, clips)
        return [folds[0], replace(folds[1], train=np.append(folds[1].train, folds[1].test[0]))]

    monkeypatch.setattr("shared.models.evaluation.protocols.folds_of", leaky)
    with pytest.raises(Leak, match="fold seed 42, speakers 03 04"):
        run(dataset, speaker, tmp_path)
    assert not list(tmp_path.iterdir())
