"""The networks that can be trained, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


NETWORKS: dict[str, Builder] = {"seed": build_classifier}


def builder(network: str) -> Builder:
    """The builder of a network; raises UnknownNetwork."""
    if network not in NETWORKS:
        raise UnknownNetwork(network=network, known=", ".join(NETWORKS))
    return NETWORKS[network]
