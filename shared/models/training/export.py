"""The ONNX form of a version, and the probe by which every runtime is checked when it loads the version.

`python -m shared.models.training.export VERSION` adds them to a version that was trained before there were
any.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio.features import Floats, fixed_length
from shared.audio.spec import FeatureSpec
from shared.audio.synthesis import COLOURS, speech_like
from shared.core.errors.base import VoxmoodError
from shared.core.errors.models import DoesNotRun, NotExported
from shared.core.settings import Settings
from shared.models.serving.artefacts import Folders
from shared.models.serving.backend import load_keras
from shared.models.serving.checksums import sha256
from shared.models.serving.encoders import feature_maker
from shared.models.serving.manifest import MANIFEST, MODEL, ONNX, PROBE, Manifest
from shared.models.serving.provenance import check_archive
from shared.models.serving.registry import folder_of, verify
from shared.models.serving.runtimes import TOLERANCE, distance, onnx_network
from voxmood.files import written_whole

PROBE_CLIPS = 4  # of 3 s: 0.1 MB in the version's folder


def export(network: Any, manifest: Manifest, folder: Path) -> None:
    """Write model.onnx and probe.npz of a network into the folder of its version.

    Args:
        network: in Keras.
        manifest: of the version.
        folder: of the version.

    Raises:
        NotExported: ONNX Runtime does not run it, or answers otherwise than Keras.
    """
    spec = manifest.feature_spec
    _write_graph(network, spec, folder / ONNX)
    inputs = probe_inputs(spec)
    np.savez_compressed(folder / PROBE, inputs=inputs, outputs=network.predict_on_batch(inputs))
    try:
        difference = distance(onnx_network(folder / ONNX, threads=1), folder / PROBE)
    except DoesNotRun as error:
        raise NotExported(version=manifest.version, reason=error.facts["reason"]) from error
    if not difference <= TOLERANCE:
        reason = f"it answers {difference:.0e} otherwise, and {TOLERANCE:.0e} is allowed"
        raise NotExported(version=manifest.version, reason=reason)


def _write_graph(network: Any, spec: FeatureSpec, file: Path) -> None:
    """Write the graph, for any number of clips: fixed to 32 it is no faster.

    Not by Keras' own `network.export(format="onnx")`: that makes the statistics of a Normalization further
    inputs, and loses their values (Keras 3.15, tf2onnx 1.17).
    """
    load_keras()
    import tensorflow as tf
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec((None, *spec.shape), tf.float32, name="features")
    called = tf.function(lambda batch: network(batch, training=False)).get_concrete_function(signature)
    # Lowered, the loop of a recurrent layer is nothing that tf2onnx knows.
    frozen = convert_variables_to_constants_v2(called, lower_control_flow=False)
    tf2onnx.convert.from_function(tf.function(frozen), [signature], output_path=str(file))


def probe_inputs(spec: FeatureSpec) -> Floats:
    """Features of synthesised voices, always the same, shape (PROBE_CLIPS, *spec.shape)."""
    voices = [
        speech_like(emotion, spec.sampling_rate, spec.seconds, seed)
        for seed, emotion in enumerate(list(COLOURS)[-PROBE_CLIPS:])
    ]
    return feature_maker(spec)(np.stack([fixed_length(voice, spec) for voice in voices]))


def complete(models: Folders, version: str) -> None:
    """Add the ONNX form and the probe to a version that lacks them; its weights stay as they are, bit by bit.

    A version that has them keeps them: databases know it by its hash, and no two exports are the same.

    Args:
        models: the folders in which versions are looked up.
        version: its name.

    Raises:
        UnknownModel: there is no such version.
        DamagedModel: a file has changed or is missing.
        UnsafeModel: the network holds more than weights.
        NotExported: ONNX Runtime does not run it, or answers otherwise than Keras.
    """
    manifest, folder = verify(models, version), folder_of(models, version)
    if ONNX in manifest.files:
        return
    check_archive(folder / MODEL)
    network = load_keras().models.load_model(folder / MODEL, compile=False, safe_mode=True)
    export(network, manifest, folder)
    manifest.files.update({name: sha256(folder / name) for name in (ONNX, PROBE)})
    with written_whole(folder / MANIFEST) as partial:
        partial.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        complete(Settings().model_folders, sys.argv[1])
    except VoxmoodError as error:
        sys.exit(f"voxmood: {error}")
