"""The networks that can be trained, by name, and what each is fed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.audio.spec import SEED_V6, FeatureSpec
from shared.emotion.backend import load_keras
from shared.errors.models import UnknownNetwork

Builder = Callable[[tuple[int, int, int], int], Any]


def build_classifier(input_shape: tuple[int, int, int], n_classes: int) -> Any:
    """The seed's network: features (n, *input_shape) to probabilities (n, n_classes), not compiled."""
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


NETWORKS: dict[str, tuple[Builder, FeatureSpec]] = {"seed": (build_classifier, SEED_V6)}


def builder(network: str) -> Builder:
    """The builder of a network; raises UnknownNetwork."""
    return _entry(network)[0]


def spec_of(network: str) -> FeatureSpec:
    """The features that a network is fed; raises UnknownNetwork."""
    return _entry(network)[1]


def _entry(network: str) -> tuple[Builder, FeatureSpec]:
    if network not in NETWORKS:
        raise UnknownNetwork(network=network, known=", ".join(NETWORKS))
    return NETWORKS[network]
