"""From a folder of recordings to a model version: its features, its training, its manifest, its files."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sklearn.preprocessing import LabelEncoder

from shared.audio.limits import DecodeLimits
from shared.core.settings import REPOSITORY
from shared.models.data import feature_cache
from shared.models.data.audio_data import AudioData, Progress
from shared.models.data.corpora import JoinedCorpora
from shared.models.data.datasets import Recordings, fingerprint
from shared.models.metrics.calibration import Reliability
from shared.models.metrics.plots import (
    plot_confusion_matrix,
    plot_reliability,
    plot_risk_coverage,
    plot_training_curves,
)
from shared.models.serving.backend import load_keras
from shared.models.serving.checksums import sha256
from shared.models.serving.manifest import MANIFEST, MODEL, Data, Manifest
from shared.models.serving.registry import check_new, new_version
from shared.models.training.baseline import TrainingConfig
from shared.models.training.card import card
from shared.models.training.export import export
from shared.models.training.recipes import NetworkRecipe, recipe_of
from shared.models.training.trained_version import TrainedVersion, baseline_version, cross_validated_version


def train_version(
    recordings: Recordings,
    config: TrainingConfig,
    models_dir: Path,
    limits: DecodeLimits,
    report: Progress,
    cache: Path | None = None,
) -> tuple[Manifest, tuple[str, ...]]:
    """Train a version and put it into its folder, whole or not at all.

    What `report` raises ends the training, and nothing is left of it.

    Args:
        recordings: labelled ones.
        config: name, network and settings.
        models_dir: the folder of the versions.
        limits: of decoding.
        report: called as report(stage, done, total).
        cache: a folder for features, which the next training on the same recordings uses.

    Returns:
        The manifest, and a sentence for each recording that could not be used.

    Raises:
        ModelExists: there is a version of this name; raised before any work, as the next two are.
        WrongVersionName: it cannot be a version's name.
        UnknownNetwork: there is no such network.
        TooFewRecordings: an emotion has too few clips.
        TooFewSpeakers: there are too few speakers.
    """
    check_new(models_dir, config.version)
    recipe = recipe_of(config.network)
    load_keras()
    data = _read_features(recordings, config, recipe, limits, report, cache)
    train = cross_validated_version if recipe.cross_validated else baseline_version
    with new_version(models_dir, config.version) as folder:
        trained = train(data, config, folder, report)
        manifest = _manifest(config, recordings, data, recipe, trained)
        _write(folder, manifest, trained)
    return manifest, data.left_out


def _read_features(
    recordings: Recordings,
    config: TrainingConfig,
    recipe: NetworkRecipe,
    limits: DecodeLimits,
    report: Progress,
    cache: Path | None,
) -> AudioData:
    """The features of all speakers but the reserved ones.

    These are read too, since an evaluation will ask for them.
    """
    given = recipe.read_spec, limits, report, recipe.copies, cache
    if isinstance(recordings, JoinedCorpora):
        data = feature_cache.load_joined(recordings, *given)
    else:
        data = feature_cache.load(recordings, recordings.examples, *given)
    reserved = set(config.reserve)
    return data.only([n for n, example in enumerate(data.examples) if example.speaker not in reserved])


def _manifest(
    config: TrainingConfig,
    recordings: Recordings,
    data: AudioData,
    recipe: NetworkRecipe,
    trained: TrainedVersion,
) -> Manifest:
    """The manifest, but for the files."""
    training, test, unknown = trained.sides
    return Manifest(
        version=config.version,
        base=config.base,
        labels=trained.labels,
        unknown_labels=sorted(config.drop),
        feature_spec=recipe.spec,
        voice_detector=recipe.detector,
        network=config.network,
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
        seed=config.seed,
        caveats=trained.caveats,
        commit=_commit(),
        created=datetime.now(UTC).replace(microsecond=0),
        files={},
    )


def _write(folder: Path, manifest: Manifest, trained: TrainedVersion) -> None:
    """Write all files of the version; the checkpoint that is there already is no part of it."""
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
    """The commit of the running code; None where it is no checkout of its own."""
    if not (REPOSITORY / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
