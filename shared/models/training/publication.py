"""From a folder of recordings to a model version: its features, its training, its manifest, its files."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sklearn.preprocessing import LabelEncoder

from shared.audio.decode import DecodeLimits
from shared.core.settings import REPOSITORY
from shared.models.data import feature_cache
from shared.models.data.audio_data import AudioData
from shared.models.data.corpora import Joined
from shared.models.data.datasets import Recordings, fingerprint
from shared.models.metrics.calibration import Reliability
from shared.models.metrics.plots import (
    plot_confusion_matrix,
    plot_reliability,
    plot_risk_coverage,
    plot_training_curves,
)
from shared.models.serving.backend import load_keras
from shared.models.serving.registry import (
    MANIFEST,
    MODEL,
    Data,
    Manifest,
    check_new,
    new_version,
    sha256,
)
from shared.models.training.card import card
from shared.models.training.export import export
from shared.models.training.judgement import Trained, as_the_seed, crosswise
from shared.models.training.methods import Method, method
from shared.models.training.training import Recipe, Report


def train_version(
    recordings: Recordings,
    recipe: Recipe,
    models_dir: Path,
    limits: DecodeLimits,
    report: Report,
    cache: Path | None = None,
) -> tuple[Manifest, tuple[str, ...]]:
    """Train a version and put it into models_dir, whole or not at all. cache: a folder for features, which
    the next training on the same recordings takes over.

    report(stage, done, total) follows the course. Returns the manifest and a sentence for each recording
    that was left out. Raises, before any work: ModelExists, WrongVersionName, UnknownNetwork; later
    TooFewRecordings or TooFewSpeakers. What `report` raises ends the training, and nothing is left of it.
    """
    check_new(models_dir, recipe.version)
    way = method(recipe.network)
    load_keras()
    data = _heard(recordings, recipe, way, limits, report, cache)
    train = crosswise if way.cross else as_the_seed
    with new_version(models_dir, recipe.version) as folder:
        trained = train(data, recipe, folder, report)
        manifest = _describe(recipe, recordings, data, way, trained)
        _write(folder, manifest, trained)
    return manifest, data.left_out


def _heard(
    recordings: Recordings,
    recipe: Recipe,
    way: Method,
    limits: DecodeLimits,
    report: Report,
    cache: Path | None,
) -> AudioData:
    """The features of all but the reserved speakers, who are read too: an evaluation asks for them."""
    given = way.read, limits, report, way.draws, cache
    if isinstance(recordings, Joined):
        data = feature_cache.load_joined(recordings, *given)
    else:
        data = feature_cache.load(recordings, recordings.examples, *given)
    reserved = set(recipe.reserve)
    return data.only([n for n, example in enumerate(data.examples) if example.speaker not in reserved])


def _describe(
    recipe: Recipe, recordings: Recordings, data: AudioData, way: Method, trained: Trained
) -> Manifest:
    """The manifest, but for the files."""
    training, test, unknown = trained.sides
    return Manifest(
        version=recipe.version,
        base=recipe.base,
        labels=trained.labels,
        unknown_labels=sorted(recipe.drop),
        feature_spec=way.spec,
        voice_detector=way.detector,
        network=recipe.network,
        temperature=trained.temperature,
        threshold=trained.threshold,
        threshold_rule=trained.rule,
        class_weights=trained.class_weights,
        judged=trained.judged,
        metrics=trained.metrics,
        speakers=trained.speakers,
        data=Data(
            fingerprint=fingerprint(recordings, data.examples),
            clips=len(data.examples),
            training_clips=training,
            test_clips=test,
            unknown_clips=unknown,
            left_out=len(data.left_out),
            licence=recordings.licence,
            credit=recordings.credit,
        ),
        seed=recipe.seed,
        caveats=trained.caveats,
        commit=_commit(),
        created=datetime.now(UTC).replace(microsecond=0),
        files={},
    )


def _write(folder: Path, manifest: Manifest, trained: Trained) -> None:
    """All files of the version. The checkpoint that lies there already is no part of it."""
    checkpoints = set(folder.iterdir())
    trained.network.save(folder / MODEL)
    export(trained.network, manifest, folder)
    _write_json(folder / "labels.json", manifest.labels)
    _write_json(folder / "class_weights.json", manifest.class_weights)
    (folder / "labels.pkl").write_bytes(pickle.dumps(LabelEncoder().fit(manifest.labels)))
    plot_confusion_matrix(manifest.metrics.confusion_matrix, manifest.labels, folder / "confusion_matrix.png")
    confidence = Reliability.of(trained.answers.known, trained.answers.are_right)
    plot_reliability(confidence, folder / "reliability.png")
    plot_risk_coverage(trained.answers.curves(), folder / "risk_coverage.png")
    plot_training_curves(trained.history, manifest.metrics.best_epoch, folder / "training_curves.png")
    (folder / "README.md").write_text(card(manifest), encoding="utf-8")
    files = sorted(set(folder.iterdir()) - checkpoints)
    manifest.files.update({file.name: sha256(file) for file in files})
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _write_json(file: Path, value: list[str] | Mapping[str, float]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _commit() -> str | None:
    """The commit of the code that ran; None where it is no checkout of its own."""
    if not (REPOSITORY / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
