"""Encoders on disk, `encoders/NAME/` beside the model versions: each is stored once, for all versions whose
features name it, and loaded once a process, by those alone that compute such features.

encoder.onnx is what computes features, in training and serving alike; the weights beside it are the same
encoder as it came, for training in Keras (shared.models.training.encoder_keras). The folder's README.md is
its card.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from shared.audio.features import Floats, features
from shared.audio.log_mel import encoder_input
from shared.audio.spec import EncodedSpec, FeatureSpec
from shared.audio.threads import one_blas_thread
from shared.models.serving.artefacts import ArtefactManifest, Folders, encoder_file, verify_artefact
from shared.models.serving.encoder_graph import POOLED, Weights
from shared.models.serving.provenance import read_graph

Features = Callable[[Floats], Floats]


class EncoderManifest(ArtefactManifest):
    """layers: how many; width: of each; seconds: the longest window."""

    layers: int
    width: int
    sampling_rate: int
    seconds: float


class Encoder:
    """A loaded encoder; its answer to a window depends on no other window."""

    def __init__(self, file: Path, threads: int) -> None:
        """Raises UnsafeModel; expects a file whose SHA-256 has been seen."""
        import onnxruntime

        from shared.models.serving.runtimes import session_options

        onnxruntime.disable_telemetry_events()
        # On the CPU even where there is a GPU: CUDA has none of its operators of whole numbers.
        self._session = onnxruntime.InferenceSession(
            read_graph(file), session_options(threads), providers=["CPUExecutionProvider"]
        )

    def __call__(self, windows: Floats, spec: EncodedSpec) -> Floats:
        """Windows (n, spec.n_samples) to what is pooled of the spec's layers (n, layers, spec.pooled).

        One after the other, each cut to its sounding part: together they would cost as much, and share a
        scale. Layers count from 1.
        """
        kept = [layer - 1 for layer in spec.layers]
        rows = np.empty((len(windows), len(kept), spec.pooled), np.float32)
        # With two threads the mel bands differ in their last digit, and numbers of 8 bits by a step: 1e-4
        # in a clip's probabilities.
        with one_blas_thread():
            for row, window in zip(rows, windows, strict=True):
                row[:] = self.pooled(encoder_input(window, spec))[kept]
        return rows

    def pooled(self, mel: Floats) -> Floats:
        """Of one log mel spectrogram (80, frames): of every layer (layers, pooled)."""
        return np.asarray(self._session.run([POOLED], {"mel": mel[np.newaxis]})[0][0])


def feature_maker(spec: FeatureSpec, models: Folders = (), threads: int = 1) -> Features:
    """What makes windows (n, spec.n_samples) features (n, *spec.shape), float32.

    models: where the encoder is looked up, if the spec names one, before the folders of the settings and what
    ships; threads: of the encoder. Raises DamagedArtefact or UnsafeModel.
    """
    if not isinstance(spec, EncodedSpec):
        return partial(features, spec=spec)
    encode = _loaded(encoder_file(spec, models), spec.encoder_sha256, threads)

    def both(windows: Floats) -> Floats:
        rows = np.empty((len(windows), *spec.shape), np.float32)
        rows[:, : spec.n_voice] = features(windows, spec)
        rows[:, spec.embeddings] = encode(windows, spec).reshape(len(windows), -1)
        return rows

    return both


def verify_encoder(folder: Path) -> EncoderManifest:
    """The manifest of an encoder, once every file's SHA-256 is as it says; else DamagedArtefact."""
    return verify_artefact("encoder", folder, EncoderManifest)


def encoder_weights(folder: Path) -> Weights:
    """The weights as they came, float16, by name; raises DamagedArtefact."""
    found: dict[str, Floats] = {}
    for name in verify_encoder(folder).files:
        if name.endswith(".npz"):
            with np.load(folder / name, allow_pickle=False) as part:
                found.update(part)
    return found


@lru_cache(maxsize=1)
def _loaded(file: Path, _sha256: str, threads: int) -> Encoder:
    return Encoder(file, threads)
