"""The recipe of the baseline: split, augmentation, class weights, network and fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio.augmentation import augment_dataset
from shared.audio.features import Floats
from shared.models.data.audio_data import AudioData, Progress
from shared.models.data.classes import Indices, known_classes, stratified
from shared.models.serving.backend import load_keras
from shared.models.serving.manifest import Speakers

EPOCHS = 50
BATCH_CLIPS = 32


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What to train.

    Attributes:
        version: the name of the version.
        network: a key of `RECIPES`.
        drop: emotions that are left out, the unknown ones of the threshold.
        reserve: speakers who take part in nothing.
        seed: of split, weights and augmentation.
        epochs: at most; None: the network's own number.
        base: the version that it is to follow.
    """

    version: str
    network: str = "seed"
    drop: Sequence[str] = ()
    reserve: Sequence[str] = ()
    seed: int = 42
    epochs: int | None = None
    base: str | None = None


@dataclass(frozen=True, slots=True)
class BaselineSplit:
    """Features of both sides of the split, shape (n, rows, frames, channels).

    Attributes:
        labels: the known emotions.
        train: features of the training part.
        train_classes: indices of the labels, shape (n,).
        test: features of the test part.
        test_classes: indices of the labels, shape (n,).
        speakers: of both parts.
    """

    labels: list[str]
    train: Floats
    train_classes: Indices
    test: Floats
    test_classes: Indices
    speakers: Speakers


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted network and its course.

    Attributes:
        network: with the weights of its best epoch.
        class_weights: by class index.
        history: metrics by epoch.
        best_epoch: counted from 1.
    """

    network: Any
    class_weights: dict[int, float]
    history: dict[str, list[float]]
    best_epoch: int


def split(data: AudioData, config: TrainingConfig) -> BaselineSplit:
    """The stratified 80/20 split over the known emotions.

    Raises:
        TooFewRecordings: an emotion has too few clips.
    """
    emotions = np.array([example.emotion for example in data.examples])
    speakers = np.array([example.speaker for example in data.examples])
    is_known, labels, classes = known_classes(emotions, config.drop)
    known = data.features[is_known]
    train, test = stratified(classes, config.seed)
    speakers_of_known = speakers[is_known]
    return BaselineSplit(
        labels=labels,
        train=known[train],
        train_classes=classes[train],
        test=known[test],
        test_classes=classes[test],
        speakers=Speakers(
            training=sorted(set(speakers_of_known[train])),
            test=sorted(set(speakers_of_known[test])),
            reserve=sorted(config.reserve),
        ),
    )


def compute_class_weights(classes: Indices) -> dict[int, float]:
    """The weight of each class: the median count divided by its count.

    For a class below half the median it is raised to the power of 1.5.
    """
    counts = np.bincount(classes)
    ratios = np.median(counts) / counts
    return dict(enumerate(np.where(ratios > 2, ratios**1.5, ratios).tolist()))


def fit(parts: BaselineSplit, config: TrainingConfig, best: Path, report: Progress) -> Fitted:
    """Augment the training part and fit the network.

    The same seed gives the same weights on the same machine.

    Args:
        parts: the split.
        config: seed and epochs.
        best: where the checkpoint of the best epoch is written.
        report: called as report("training", done, total).
    """
    keras = load_keras()
    import tensorflow as tf

    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    weights = compute_class_weights(parts.train_classes)
    inputs, classes = augment_dataset(parts.train, parts.train_classes, np.random.default_rng(config.seed))
    network = build_classifier(inputs.shape[1:], len(parts.labels))
    network.compile(keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    targets = keras.utils.to_categorical
    callbacks = keras.callbacks
    done = count(BATCH_CLIPS, BATCH_CLIPS)
    epochs = config.epochs or EPOCHS
    total = epochs * -(-len(inputs) // BATCH_CLIPS) * BATCH_CLIPS
    stopping = callbacks.EarlyStopping(
        monitor="val_accuracy", patience=10, min_delta=0.001, restore_best_weights=True
    )
    history = network.fit(
        inputs,
        targets(classes, len(parts.labels)),
        validation_data=(parts.test, targets(parts.test_classes, len(parts.labels))),
        batch_size=BATCH_CLIPS,
        epochs=epochs,
        class_weight=weights,
        verbose=0,
        callbacks=[
            stopping,
            callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=5, cooldown=2, min_lr=1e-6),
            callbacks.ModelCheckpoint(best, monitor="val_accuracy", save_best_only=True),
            callbacks.LambdaCallback(
                on_train_batch_end=lambda _batch, logs: report("training", next(done), total)
            ),
        ],
    )
    return Fitted(network, weights, history.history, stopping.best_epoch + 1)


def build_classifier(input_shape: tuple[int, ...], n_classes: int) -> Any:
    """The network of the baseline, not compiled.

    Args:
        input_shape: of the features of one clip.
        n_classes: outputs.

    Returns:
        A Keras network from features (n, *input_shape) to probabilities (n, n_classes).
    """
    keras = load_keras()
    layers = keras.layers

    def block(filters: int) -> list[Any]:
        return [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
        ]

    return keras.Sequential(
        [
            keras.Input(input_shape),
            *block(32),
            *block(64),
            layers.Dropout(0.3),
            *block(128),
            layers.Dropout(0.4),
            layers.GlobalAveragePooling2D(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(n_classes, activation="softmax"),
        ],
        name="seed",
    )
