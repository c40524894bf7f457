"""Encoders on disk, `encoders/NAME/` beside the model versions.

Each is stored once, for all versions whose features name it, and is loaded once a process, only where such
features are computed. encoder.onnx computes the features, in training and serving alike; the weights beside
it are the same encoder as it was published, for training in Keras (shared.models.training.encoder_keras). The
README.md of its folder is its card.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from shared.audio.arrays import Floats
from shared.audio.features import features
from shared.audio.log_mel import encoder_input
from shared.audio.spec import EncodedSpec, FeatureSpec
from shared.audio.threads import one_blas_thread
from shared.models.serving.artefacts import ArtefactManifest, Folders, encoder_file, verify_artefact
from shared.models.serving.encoder_graph import POOLED, Weights
from shared.models.serving.provenance import read_graph

Features = Callable[[Floats], Floats]


class EncoderManifest(ArtefactManifest):
    """What manifest.json says of an encoder.

    Attributes:
        layers: how many it has.
        width: of each layer.
        sampling_rate: of its input, in Hz.
        seconds: of the longest window.
    """

    layers: int
    width: int
    sampling_rate: int
    seconds: float


class Encoder:
    """A loaded encoder; its answer to a window depends on no other window."""

    def __init__(self, file: Path, threads: int) -> None:
        """Load the graph.

        Args:
            file: encoder.onnx; its SHA-256 must have been checked.
            threads: of ONNX Runtime.

        Raises:
            UnsafeModel: the file holds more than a graph of ONNX' own operators.
        """
        import onnxruntime

        from shared.models.serving.runtimes import session_options

        onnxruntime.disable_telemetry_events()
        # On the CPU even where there is a GPU: CUDA has none of its operators of whole numbers.
        self._session = onnxruntime.InferenceSession(
            read_graph(file), session_options(threads), providers=["CPUExecutionProvider"]
        )

    def __call__(self, windows: Floats, spec: EncodedSpec) -> Floats:
        """Embeddings of windows.

        They are computed one after another, each cut to its sounding part: together they would cost as much,
        and would share a scale.

        Args:
            windows: samples, shape (n, spec.n_samples).
            spec: names the layers, counted from 1.

        Returns:
            Shape (n, layers, spec.pooled).
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
        """Embeddings of every layer.

        Args:
            mel: a log mel spectrogram, shape (80, frames).

        Returns:
            Shape (layers, pooled).
        """
        return np.asarray(self._session.run([POOLED], {"mel": mel[np.newaxis]})[0][0])


def feature_maker(spec: FeatureSpec, models: Folders = (), threads: int = 1) -> Features:
    """A function that computes features of windows.

    Args:
        spec: which features.
        models: folders in which the encoder that the spec names is looked up first, before those of the
            settings and what ships.
        threads: of the encoder.

    Returns:
        Takes samples of shape (n, spec.n_samples) and returns float32 of shape (n, *spec.shape).

    Raises:
        DamagedArtefact: the encoder is missing, or another one of this name is there.
        UnsafeModel: its file holds more than a graph of ONNX' own operators.
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
    """Read the manifest of an encoder and check the SHA-256 of each file.

    Raises:
        DamagedArtefact: a file has changed, or the manifest cannot be read.
    """
    return verify_artefact("encoder", folder, EncoderManifest)


def encoder_weights(folder: Path) -> Weights:
    """The weights of an encoder as they were published, in float16, by name.

    Raises:
        DamagedArtefact: a file has changed, or the manifest cannot be read.
    """
    found: dict[str, Floats] = {}
    for name in verify_encoder(folder).files:
        if name.endswith(".npz"):
            with np.load(folder / name, allow_pickle=False) as part:
                found.update(part)
    return found


@lru_cache(maxsize=1)
def _loaded(file: Path, _sha256: str, threads: int) -> Encoder:
    return Encoder(file, threads)
