"""From a folder of recordings to a model version: train, judge, describe, write."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelEncoder

from shared.audio.decode import DecodeLimits
from shared.audio.features import Floats
from shared.audio.spec import SEED_V6
from shared.emotion.backend import load_keras
from shared.emotion.card import card
from shared.emotion.datasets import AudioData, Recordings, fingerprint, load_audio_data
from shared.emotion.evaluation import scores
from shared.emotion.export import export
from shared.emotion.networks import builder
from shared.emotion.plots import plot_confusion_matrix, plot_training_curves
from shared.emotion.registry import (
    MANIFEST,
    MODEL,
    Data,
    Manifest,
    Metrics,
    ThresholdRule,
    check_new,
    new_version,
    sha256,
)
from shared.emotion.rejection import seed_threshold
from shared.emotion.training import Parts, Recipe, Report, Trained, fit, split
from shared.settings import REPOSITORY

CAVEATS = [
    "The split is random over clips: each speaker is on both sides, and where a sentence was recorded "
    "twice, mostly with one take on each. On new speakers the accuracy is far lower.",
    "As in the seed, early stopping chose the epoch on the test part, which flatters its figures.",
]
SATURATED = (
    "The threshold rule saturates: it gave {unclipped:.2f} and was clipped to {threshold:.2f}, so that its "
    "bound decides and not the data; it rejects {rejected:.0%} of the test clips."
)


def train_version(
    recordings: Recordings, recipe: Recipe, models_dir: Path, limits: DecodeLimits, report: Report
) -> tuple[Manifest, tuple[str, ...]]:
    """Train a version and put it into models_dir, whole or not at all.

    report(stage, done, total) follows the course. Returns the manifest and a sentence for each recording
    that was left out. Raises, before any work: ModelExists, WrongVersionName, UnknownNetwork; later
    TooFewRecordings. What `report` raises ends the training, and nothing is left of it.
    """
    check_new(models_dir, recipe.version)
    builder(recipe.network)
    load_keras()
    data = _load(recordings, recipe, limits, report)
    parts = split(data, recipe)
    with new_version(models_dir, recipe.version) as folder:
        trained = fit(parts, recipe, folder / f"{recipe.version}_best.keras", report)
        manifest = _describe(recipe, recordings, data, parts, trained)
        _write(folder, manifest, trained, _network_alone(trained.network, recipe, parts))
    return manifest, data.left_out


def _load(recordings: Recordings, recipe: Recipe, limits: DecodeLimits, report: Report) -> AudioData:
    examples = [example for example in recordings.examples if example.speaker not in recipe.reserve]
    done = 0

    def advance(clips: int) -> None:
        nonlocal done
        done += clips
        report("features", done, len(examples))

    return load_audio_data(recordings, examples, SEED_V6, limits, advance)


def _describe(
    recipe: Recipe, recordings: Recordings, data: AudioData, parts: Parts, trained: Trained
) -> Manifest:
    """The manifest, but for the files."""
    test, unknown, train = (
        _probabilities(trained.network, inputs) for inputs in (parts.test, parts.unknown, parts.train)
    )
    threshold, unclipped = seed_threshold(unknown.max(axis=1))
    rule = ThresholdRule(
        name="seed",
        text="95th percentile of the unknown emotions' confidence + 0.05, within 0.60 and 0.85; "
        "0.70 without unknowns",
        unknown_clips=len(unknown),
        unclipped=unclipped,
    )
    metrics = Metrics.model_validate(
        {
            **scores(parts.test_classes, test.argmax(axis=1), parts.labels),
            "train_accuracy": float((train.argmax(axis=1) == parts.train_classes).mean()),
            "rejected": float((test.max(axis=1) < threshold).mean()),
            "unknown_rejected": float((unknown.max(axis=1) < threshold).mean()) if len(unknown) else None,
            "epochs": len(trained.history["loss"]),
            "best_epoch": trained.best_epoch,
        }
    )
    caveats = list(CAVEATS)
    if unclipped is not None and unclipped > threshold:
        caveats.append(SATURATED.format(unclipped=unclipped, threshold=threshold, rejected=metrics.rejected))
    return Manifest(
        version=recipe.version,
        base=recipe.base,
        labels=parts.labels,
        unknown_labels=sorted(recipe.drop),
        feature_spec=SEED_V6,
        network=recipe.network,
        threshold=threshold,
        threshold_rule=rule,
        class_weights={parts.labels[index]: weight for index, weight in trained.class_weights.items()},
        metrics=metrics,
        speakers=parts.speakers,
        data=Data(
            fingerprint=fingerprint(recordings, data.examples),
            clips=len(data.examples),
            training_clips=len(parts.train),
            test_clips=len(parts.test),
            unknown_clips=len(parts.unknown),
            left_out=len(data.left_out),
            licence=recordings.licence,
            credit=recordings.credit,
        ),
        seed=recipe.seed,
        caveats=caveats,
        commit=_commit(),
        created=datetime.now(UTC).replace(microsecond=0),
        files={},
    )


def _probabilities(network: Any, inputs: Floats) -> Floats:
    """(n, classes), also for n = 0, which Keras refuses."""
    if not len(inputs):
        return np.empty((0, network.output_shape[-1]), np.float32)
    return np.asarray(network.predict(inputs, batch_size=256, verbose=0))


def _network_alone(network: Any, recipe: Recipe, parts: Parts) -> Any:
    """The network without its optimizer's state: 0.5 MB instead of 1.4."""
    alone = builder(recipe.network)(parts.train.shape[1:], len(parts.labels))
    alone.set_weights(network.get_weights())
    return alone


def _write(folder: Path, manifest: Manifest, trained: Trained, network: Any) -> None:
    """All files of the version. The checkpoint that lies there already is no part of it."""
    checkpoints = set(folder.iterdir())
    network.save(folder / MODEL)
    export(network, manifest, folder)
    _write_json(folder / "labels.json", manifest.labels)
    _write_json(folder / "class_weights.json", manifest.class_weights)
    (folder / "labels.pkl").write_bytes(pickle.dumps(LabelEncoder().fit(manifest.labels)))
    plot_confusion_matrix(manifest.metrics.confusion_matrix, manifest.labels, folder / "confusion_matrix.png")
    plot_training_curves(trained.history, trained.best_epoch, folder / "training_curves.png")
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
