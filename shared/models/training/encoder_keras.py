"""The encoder in Keras, from the same weights: for training, and for whole batches on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.audio.log_mel import N_MELS
from shared.models.serving.backend import load_keras
from shared.models.serving.encoder_graph import EPSILON, HEADS, POOLED, Weights, frames_of


def encoder_network(weights: Weights, layers: int) -> Any:
    """The encoder's first layers as a keras.Model, which is not to be saved.

    Its weights are in the encoder's folder. Its inputs are `mel`, log mel with zeros at the end of shorter
    recordings, shape (n, t, 80), and `lengths`, int32, how many of the t frames each recording has, shape
    (n,). Its outputs are those of shared.models.serving.encoder_graph: `pooled`, shape (n, layers, 2 ×
    width), and `frames_1`, …, shape (n, ceil(t / 2), width). What lies behind a recording's end changes
    nothing, and the frames there mean nothing.

    Args:
        weights: by name.
        layers: how many of the encoder's first layers.
    """
    keras = load_keras()
    ops = keras.ops
    mel = keras.Input((None, N_MELS), name="mel")
    lengths = keras.Input((), dtype="int32", name="lengths")
    is_frame = _within(mel, lengths)
    # What a convolution sees behind the end is nothing, as at a recording's own end.
    x = ops.gelu(_convolution(mel * is_frame, "conv1", 1, weights), approximate=False)
    x = ops.gelu(_convolution(x * is_frame, "conv2", 2, weights), approximate=False)
    n_positions = (lengths + 1) // 2
    is_position = _within(x, n_positions)
    embedding = keras.layers.Embedding(*weights["positions"].shape, name="positions")
    x = x + _filled(embedding, _places(x), weights["positions"])
    seen = ops.expand_dims(ops.squeeze(is_position, -1), 1) > 0
    outputs, pooled = {}, []
    for number in range(layers):
        x = _layer(x, seen, f"layer_{number}", weights)
        outputs[frames_of(number + 1)] = x
        pooled.append(_pooled(x, is_position, n_positions))
    outputs[POOLED] = ops.stack(pooled, axis=1)
    return keras.Model({"mel": mel, "lengths": lengths}, outputs, name="encoder")


def _within(x: Any, lengths: Any) -> Any:
    """1 for each frame of x (n, t, …) that is part of the recording, else 0: (n, t, 1)."""
    is_within = _places(x) < lengths[:, np.newaxis]
    return load_keras().ops.cast(is_within, "float32")[..., np.newaxis]


def _places(x: Any) -> Any:
    """The positions 0, 1, … of each frame of x (n, t, …): (n, t)."""
    ops = load_keras().ops
    return ops.cumsum(ops.ones_like(x[..., 0], dtype="int32"), axis=1) - 1


def _convolution(x: Any, part: str, stride: int, weights: Weights) -> Any:
    layers = load_keras().layers
    kernel = np.transpose(weights[f"{part}/weight"], (2, 1, 0))
    layer = layers.Conv1D(kernel.shape[2], kernel.shape[0], strides=stride, name=part)
    # Not Keras' "same": in steps of two it fills up the end alone.
    x = layers.ZeroPadding1D(1)(x)
    return _filled(layer, x, kernel, weights[f"{part}/bias"])


def _filled(layer: Any, x: Any, *values: Any) -> Any:
    """Apply a layer to x, with these weights."""
    output = layer(x)
    layer.set_weights([np.asarray(value, np.float32) for value in values])
    return output


def _norm(x: Any, part: str, weights: Weights) -> Any:
    layer = load_keras().layers.LayerNormalization(epsilon=EPSILON, name=part.replace("/", "_"))
    return _filled(layer, x, weights[f"{part}/gamma"], weights[f"{part}/beta"])


def _dense(x: Any, part: str, weights: Weights) -> Any:
    kernel = weights[f"{part}/weight"].T
    layer = load_keras().layers.Dense(kernel.shape[1], name=part.replace("/", "_"))
    return _filled(layer, x, kernel, weights[f"{part}/bias"])


def _layer(x: Any, seen: Any, name: str, weights: Weights) -> Any:
    """One layer of the encoder; `seen`, shape (n, 1, positions), says which positions there are."""
    ops = load_keras().ops
    part = f"{name}/self_attention"
    y = _norm(x, f"{part}/layer_norm", weights)
    x = x + _attention(y, seen, part, weights)
    y = _dense(_norm(x, f"{name}/ffn/layer_norm", weights), f"{name}/ffn/linear_0", weights)
    return x + _dense(ops.gelu(y, approximate=False), f"{name}/ffn/linear_1", weights)


def _attention(y: Any, seen: Any, part: str, weights: Weights) -> Any:
    width = y.shape[-1]
    layer = load_keras().layers.MultiHeadAttention(HEADS, width // HEADS, name=part.replace("/", "_"))
    output = layer(y, y, attention_mask=seen)
    values = []
    for kernel, bias in zip(
        np.split(np.asarray(weights[f"{part}/linear_0/weight"]), 3),
        np.split(np.asarray(weights[f"{part}/linear_0/bias"]), 3),
        strict=True,
    ):
        values += [kernel.T.reshape(width, HEADS, -1), bias.reshape(HEADS, -1)]
    kernel = np.asarray(weights[f"{part}/linear_1/weight"]).T.reshape(HEADS, -1, width)
    values += [kernel, weights[f"{part}/linear_1/bias"]]
    layer.set_weights([np.asarray(value, np.float32) for value in values])
    return output


def _pooled(x: Any, is_position: Any, n_positions: Any) -> Any:
    """Mean and standard deviation over the positions that there are: (n, 2 × width)."""
    ops = load_keras().ops
    count = ops.cast(n_positions, "float32")[:, np.newaxis]
    mean = ops.sum(x * is_position, axis=1) / count
    rest = (x - mean[:, np.newaxis]) * is_position
    return ops.concatenate([mean, ops.sqrt(ops.sum(rest * rest, axis=1) / count)], axis=-1)
