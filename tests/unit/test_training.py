"""Trained versions: what a training leaves behind, who was heard, and what is refused before any work."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.audio.synthesis import non_speech, speech_like, wav_bytes
from shared.core.errors.models import ModelExists, NotExported, UnknownNetwork, WrongVersionName
from shared.core.settings import Settings
from shared.limits import decode_limits
from shared.models.data.datasets import read_dataset
from shared.models.metrics.scores import summary
from shared.models.serving.backend import load_keras
from shared.models.serving.classifier import Classifier
from shared.models.serving.detectors import SILERO
from shared.models.serving.manifest import Manifest
from shared.models.serving.registry import verify, versions
from shared.models.training.baseline import TrainingConfig
from shared.models.training.publication import train_version
from shared.models.training.recipes import RECIPES

pytestmark = pytest.mark.slow

LIMITS = decode_limits(Settings())
CLIPS = {"angry": 12, "calm": 6, "happy": 10, "sad": 4}


def ignore(_stage: str, _done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three emotions to learn, one unknown, by two speakers; and a third speaker to keep out."""
    folder = tmp_path_factory.mktemp("recordings")
    lines = ["path,emotion,speaker"]
    for emotion, count in CLIPS.items():
        for number in range(count):
            lines.append(f"{emotion}{number}.wav,{emotion},{'anna' if number % 2 else 'bert'}")
            samples = speech_like(emotion, duration_s=1.0, seed=number)
            (folder / f"{emotion}{number}.wav").write_bytes(wav_bytes(samples, 16000))
    for number, emotion in enumerate(("angry", "happy", "sad")):
        lines.append(f"kept{number}.wav,{emotion},carl")
        noise = np.random.default_rng(number).normal(0, 0.2, 16000)
        (folder / f"kept{number}.wav").write_bytes(wav_bytes(noise, 16000))
    lines.append("broken.wav,angry,anna")
    (folder / "broken.wav").write_text("no recording")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def models(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the version `tiny`, trained on them for three epochs."""
    folder = tmp_path_factory.mktemp("models")
    stages: list[str] = []
    config = TrainingConfig("tiny", drop=["sad"], reserve=["carl"], epochs=3)
    _, left_out = train_version(
        read_dataset(recordings), config, folder, LIMITS, lambda stage, _done, _total: stages.append(stage)
    )
    assert len(left_out) == 1
    assert left_out[0].startswith("broken.wav is a text file")
    assert Counter(stages)["training"] == 3
    return folder


@pytest.fixture(scope="module")
def manifest(models: Path) -> Manifest:
    return verify(models, "tiny")


def test_a_version_says_who_was_heard_and_what_was_left_out(manifest: Manifest) -> None:
    assert manifest.labels == ["angry", "calm", "happy"]
    assert manifest.unknown_labels == ["sad"]
    assert manifest.speakers.model_dump() == {
        "training": ["anna", "bert"],
        "test": ["anna", "bert"],
        "reserve": ["carl"],
    }
    data = manifest.data
    assert (data.clips, data.training_clips, data.test_clips) == (32, 22, 6)
    assert (data.unknown_clips, data.left_out) == (4, 1)
    assert data.licence.startswith("not stated")
    assert 0.60 <= manifest.threshold <= 0.85
    assert manifest.threshold_rule.unknown_clips == 4
    assert any("test part" in caveat for caveat in manifest.caveats)


def test_a_versions_files_are_those_of_the_seed_and_its_onnx_form(models: Path, manifest: Manifest) -> None:
    assert set(manifest.files) == {
        "model.keras",
        "model.onnx",
        "probe.npz",
        "labels.json",
        "labels.pkl",
        "class_weights.json",
        "confusion_matrix.png",
        "reliability.png",
        "risk_coverage.png",
        "training_curves.png",
        "README.md",
    }
    assert (models / "tiny" / "tiny_best.keras").is_file()
    weights = json.loads((models / "tiny" / "class_weights.json").read_text())
    assert weights == pytest.approx({"angry": 8 / 9, "calm": 8 / 5, "happy": 1.0})  # of 9, 5 and 8 clips


def test_a_trained_version_answers_alike_on_both_runtimes(recordings: Path, models: Path) -> None:
    clips = [(file.name, file.read_bytes()) for file in sorted(recordings.glob("*[0-9].wav"))]
    one, other = (
        Classifier.load(models, "tiny", runtime=runtime).classify(clips) for runtime in ("onnx", "tensorflow")
    )
    assert [verdict.probabilities for verdict in one] == [
        pytest.approx(verdict.probabilities, abs=1e-5) for verdict in other
    ]


def test_a_version_has_the_detector_of_its_method_and_asks_it(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "seed", replace(RECIPES["seed"], detector=SILERO))
    config = TrainingConfig("hears", drop=["sad"], reserve=["carl"], epochs=1)
    manifest, _ = train_version(read_dataset(recordings), config, tmp_path, LIMITS, ignore)
    assert manifest.voice_detector == SILERO
    assert verify(tmp_path, "hears") == manifest
    assert f"`{SILERO.name}` says it" in (tmp_path / "hears" / "README.md").read_text()
    noise = wav_bytes(non_speech("noise", seed=1), 16000)
    (verdict,) = Classifier.load(tmp_path, "hears").classify([("noise.wav", noise)])
    assert (verdict.outcome, verdict.confidence) == ("no_voice", None)


@pytest.mark.usefixtures("shallow_networks")
def test_a_crosswise_training_is_a_version_too_whose_detector_hears_whether_there_is_a_voice(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    monkeypatch.setitem(RECIPES, "v8-small", replace(RECIPES["v8-small"], copies=1))
    config = TrainingConfig("cross", "v8-small", drop=["sad"], reserve=["carl"], epochs=3)
    manifest, _ = train_version(read_dataset(recordings), config, models, LIMITS, ignore)
    assert verify(models, "cross") == manifest
    assert not manifest.hears_no_voice
    assert manifest.voice_detector == SILERO
    assert manifest.threshold_rule.name == "risk"
    assert manifest.threshold_rule.curve[-1][1] == 1.0
    assert manifest.temperature != 1.0
    assert manifest.speakers.training == ["anna", "bert"]
    assert manifest.data.test_clips == manifest.data.training_clips == 28
    card = (models / "cross" / "README.md").read_text()
    assert "networks that the others taught" in card
    assert f"off by {manifest.metrics.ece:.3f} (ECE, 15 bins)" in card
    assert "class weight" not in card.partition("## Use")[0]
    clips = [("voice.wav", wav_bytes(speech_like("angry", seed=5), 16000)),
             ("noise.wav", wav_bytes(non_speech("noise", seed=1), 16000)),
             ("tones.wav", wav_bytes(non_speech("tones", seed=2), 16000))]  # fmt: skip
    heard = {
        runtime: Classifier.load(models, "cross", runtime=runtime).classify(clips)
        for runtime in ("onnx", "tensorflow")
    }
    for voice, *others in heard.values():
        assert voice.outcome in ("classified", "rejected")
        assert set(voice.probabilities or {}) == {"angry", "calm", "happy"}
        assert [one.outcome for one in others] == ["no_voice", "no_voice"]
    one, other = (verdicts[0].probabilities for verdicts in heard.values())
    assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.long
def test_where_nobody_says_who_speaks_clips_judge_each_other_and_the_card_says_so(
    recordings: Path, tmp_path: Path
) -> None:
    dataset = read_dataset(recordings)
    one = tuple(replace(example, speaker="not stated") for example in dataset.examples)
    models = tmp_path / "models"
    config = TrainingConfig("alone", "v8-small", drop=["sad"], epochs=1)
    manifest, _ = train_version(replace(dataset, examples=one), config, models, LIMITS, ignore)
    assert manifest.speakers.training == ["not stated"]
    assert manifest.data.test_clips == manifest.data.training_clips
    assert manifest.judged == "all clips, each by networks that other clips taught"
    assert "Nobody said that there is more than one speaker" in (models / "alone" / "README.md").read_text()


def test_a_network_that_has_no_onnx_form_leaves_no_version(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(input_shape: tuple[int, int, int], n_classes: int) -> Any:
        keras = load_keras()
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input(input_shape),
                layers.GlobalAveragePooling2D(),
                layers.Dense(4, activation="gelu"),
                layers.Dense(n_classes, activation="softmax"),
            ]
        )

    monkeypatch.setattr("shared.models.training.trained_version.build_classifier", build)
    monkeypatch.setattr("shared.models.training.baseline.build_classifier", build)
    config = TrainingConfig("smooth", drop=["sad"], epochs=1)
    with pytest.raises(NotExported, match="Model version smooth is not made"):
        train_version(read_dataset(recordings), config, tmp_path / "models", LIMITS, ignore)
    assert list((tmp_path / "models").iterdir()) == []


def test_the_card_and_the_summary_tell_the_same_figures(models: Path, manifest: Manifest) -> None:
    card, said = (models / "tiny" / "README.md").read_text(), summary(manifest)
    for figure in (manifest.metrics.accuracy, manifest.metrics.f2_macro, manifest.metrics.train_accuracy):
        assert f"{figure:.4f}" in card
        assert f"{figure:.4f}" in said
    for words in ("SUMMARY", "F1 score", "F2 score", "Precision", "Class accuracy", "Confusion matrix"):
        assert words in said
    assert "macro avg" in said
    assert manifest.data.fingerprint in card


def test_the_same_seed_gives_the_same_version_and_reserved_speakers_touch_nothing(
    recordings: Path, models: Path, manifest: Manifest, tmp_path: Path
) -> None:
    without = shutil.copytree(recordings, tmp_path / "without")
    table = (without / "labels.csv").read_text().splitlines()
    (without / "labels.csv").write_text("\n".join(line for line in table if not line.endswith("carl")))
    for file in without.glob("kept*.wav"):
        file.unlink()
    config = TrainingConfig("tiny", drop=["sad"], epochs=3)
    again, _ = train_version(read_dataset(without), config, tmp_path / "models", LIMITS, ignore)
    assert again.metrics == manifest.metrics
    assert again.threshold_rule == manifest.threshold_rule
    assert again.data == manifest.data
    one, two = (Classifier.load(folder, "tiny") for folder in (models, tmp_path / "models"))
    clip = ("a.wav", (recordings / "angry0.wav").read_bytes())
    assert one.classify([clip]) == two.classify([clip])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"version": "tiny"}, ModelExists),
        ({"version": "../tiny"}, WrongVersionName),
        ({"network": "larger"}, UnknownNetwork),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(
    recordings: Path, models: Path, change: dict[str, str], error: type[Exception]
) -> None:
    def fail(*_arguments: object) -> None:
        raise AssertionError("work began")

    config = TrainingConfig(**{"version": "new", **change})
    with pytest.raises(error):
        train_version(read_dataset(recordings), config, models, LIMITS, fail)
    assert versions(models) == ["tiny"]


def test_a_training_that_is_interrupted_leaves_no_version(recordings: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, _done: int, _total: int) -> None:
        if stage == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_version(read_dataset(recordings), TrainingConfig("half"), tmp_path, LIMITS, interrupt)
    assert list(tmp_path.iterdir()) == []
