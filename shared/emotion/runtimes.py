"""What runs a version's network: ONNX Runtime or Keras on TensorFlow, each imported only if it is asked for.

Both answer alike: docs/decisions/004-runtime.md says how fast each is, and why ONNX is the default.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shared.audio.features import Floats
from shared.emotion.backend import load_keras
from shared.emotion.provenance import check_archive, read_graph
from shared.emotion.registry import MODEL, ONNX, PROBE, Manifest
from shared.errors.models import DamagedModel, DoesNotRun
from shared.settings import Runtime

log = logging.getLogger(__name__)

# Features (n, *spec.shape), float32, to probabilities (n, labels), float32.
Network = Callable[[Floats], Floats]
FIXED_CLIPS = 32
TOLERANCE = 1e-5  # promise 2: so far may two probabilities of one clip be apart


def load_network(folder: Path, manifest: Manifest, runtime: Runtime, threads: int) -> Network:
    """A version's network, once its probe is answered as at its training.

    A version that the runtime cannot run is run by Keras, which is imported for it in some 6 s.
    Raises DamagedModel, UnsafeModel or DoesNotRun; expects files that registry.verify has seen.
    """
    if runtime not in manifest.runtimes:
        log.info("%s has no %s: TensorFlow runs it", manifest.version, ONNX)
        runtime = "tensorflow"
    file = folder / (ONNX if runtime == "onnx" else MODEL)
    network = onnx_network(file, threads) if runtime == "onnx" else keras_network(file, threads)
    if PROBE in manifest.files:
        difference = distance(network, folder / PROBE)
        if not difference <= TOLERANCE:
            reason = f"{file.name} answers its probe {difference:.0e} otherwise than at its training"
            raise DamagedModel(version=manifest.version, reason=reason, folder=folder)
    return network


def onnx_network(file: Path, threads: int) -> Network:
    """An .onnx file on ONNX Runtime; raises UnsafeModel or DoesNotRun."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.enable_mem_pattern = False  # 24 MB less for seed-v6, and no slower
    graph = read_graph(file)
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base of their own
        raise DoesNotRun(file=file, reason=error) from error
    name = session.get_inputs()[0].name
    return lambda batch: np.asarray(session.run(None, {name: batch})[0])


def keras_network(file: Path, threads: int) -> Network:
    """A .keras file on TensorFlow; raises UnsafeModel."""
    check_archive(file)
    network = load_keras(threads).models.load_model(file, compile=False, safe_mode=True)

    def answer(batch: Floats) -> Floats:
        # Filled up with zeros: Keras traces each shape anew. At 32 as fast as a tf.function or XLA
        # (`predict` on one clip: 100 ms).
        filled = np.zeros((-(-len(batch) // FIXED_CLIPS) * FIXED_CLIPS, *batch.shape[1:]), np.float32)
        filled[: len(batch)] = batch
        return np.asarray(network.predict_on_batch(filled))[: len(batch)]

    return answer


def distance(network: Network, probe: Path) -> float:
    """How far the network's answers are, at most, from those of the probe (shared.emotion.export)."""
    with np.load(probe, allow_pickle=False) as known:
        return float(np.abs(network(known["inputs"]) - known["outputs"]).max())
