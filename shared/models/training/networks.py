"""The seed's network: from features to probabilities."""

from __future__ import annotations

from typing import Any

from shared.models.serving.backend import load_keras


def build_classifier(input_shape: tuple[int, ...], n_classes: int) -> Any:
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
