"""What runs a version's network: ONNX Runtime or Keras on TensorFlow, each imported only if it is asked for,
and on which processor (VOXMOOD_DEVICE).

Both answer alike: docs/decisions/004-runtime.md says how fast each is, and why ONNX is the default.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio.features import Floats
from shared.core.errors.models import DamagedModel, DoesNotRun, GpuDiffers, NoGpu
from shared.core.settings import Device, Runtime
from shared.models.serving.backend import load_keras, tensorflow_lack
from shared.models.serving.devices import Processor, cuda_session
from shared.models.serving.graphs import with_batch_normalizations
from shared.models.serving.manifest import MODEL, ONNX, PROBE, Manifest
from shared.models.serving.provenance import check_archive, read_graph

log = logging.getLogger(__name__)

LEAST_CLIPS = 32  # that Keras is handed at once; fewer are filled up
TOLERANCE = 1e-5  # promise 2: so far may two probabilities of one clip be apart


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded network, and what runs it."""

    answer: Callable[[Floats], Floats]
    processor: Processor

    def __call__(self, batch: Floats) -> Floats:
        """Features (n, *spec.shape), float32, to probabilities (n, labels), float32."""
        return self.answer(batch)


def load_network(
    folder: Path, manifest: Manifest, runtime: Runtime, threads: int, device: Device = "auto"
) -> Network:
    """A version's network, once its probe is answered as at its training.

    A version that the runtime cannot run is run by Keras, which is imported for it in some 6 s; one that the
    GPU answers otherwise is, with `auto`, run by the CPU.
    Raises DamagedModel, UnsafeModel, DoesNotRun, NoGpu or GpuDiffers; expects files that registry.verify has
    seen.
    """
    if runtime not in manifest.runtimes:
        log.info("%s has no %s: TensorFlow runs it", manifest.version, ONNX)
        runtime = "tensorflow"
    file = folder / (ONNX if runtime == "onnx" else MODEL)
    make = onnx_network if runtime == "onnx" else keras_network

    def strays(network: Network) -> float:
        return distance(network, folder / PROBE) if PROBE in manifest.files else 0.0

    network = make(file, threads, device)
    difference = strays(network)
    if network.processor == "gpu" and not difference <= TOLERANCE:
        # It sums in another order: whether the file is damaged, only the CPU can tell.
        of_gpu, network = difference, make(file, threads, "cpu")
        difference = strays(network)
        if difference <= TOLERANCE:
            differs = GpuDiffers(file=file, difference=f"{of_gpu:.0e}", tolerance=f"{TOLERANCE:.0e}")
            if device == "gpu":
                raise differs
            log.warning("%s Until then the CPU runs it.", differs)
    if not difference <= TOLERANCE:
        reason = f"{file.name} answers its probe {difference:.0e} otherwise than at its training"
        raise DamagedModel(version=manifest.version, reason=reason, folder=folder)
    log.info("%s runs on a %s, by %s", manifest.version, network.processor.upper(), runtime)
    return network


def onnx_network(file: Path, threads: int, device: Device = "cpu") -> Network:
    """An .onnx file on ONNX Runtime; raises UnsafeModel, DoesNotRun or NoGpu."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = session_options(threads)
    graph = with_batch_normalizations(read_graph(file))
    session = None if device == "cpu" else cuda_session(graph, options, demanded=device == "gpu")
    processor: Processor = "gpu" if session else "cpu"
    try:
        session = session or onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base of their own
        raise DoesNotRun(file=file, reason=error) from error
    name = session.get_inputs()[0].name
    return Network(lambda batch: np.asarray(session.run(None, {name: batch})[0]), processor)


def session_options(threads: int) -> Any:
    """What every session of ONNX Runtime is told."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.enable_mem_pattern = False  # 24 MB less for seed-v6, and no slower
    return options


def keras_network(file: Path, threads: int, device: Device = "cpu") -> Network:
    """A .keras file on TensorFlow; raises UnsafeModel or NoGpu."""
    check_archive(file)
    keras = load_keras(threads)
    lack = "" if device == "cpu" else tensorflow_lack()
    if lack and device == "gpu":
        raise NoGpu(lack=lack)
    processor: Processor = "cpu" if lack or device == "cpu" else "gpu"
    place = f"{processor}:0"
    with keras.device(place):
        network = keras.models.load_model(file, compile=False, safe_mode=True)

    def answer(batch: Floats) -> Floats:
        # Filled up with zeros to a power of two: Keras traces each shape anew. At 32 as fast as a tf.function
        # or XLA (`predict` on one clip: 100 ms).
        clips = max(LEAST_CLIPS, 1 << (len(batch) - 1).bit_length())
        filled = np.zeros((clips, *batch.shape[1:]), np.float32)
        filled[: len(batch)] = batch
        with keras.device(place):
            return np.asarray(network.predict_on_batch(filled))[: len(batch)]

    return Network(answer, processor)


def distance(network: Callable[[Floats], Floats], probe: Path) -> float:
    """How far the network's answers are, at most, from those of the probe (shared.models.training.export)."""
    with np.load(probe, allow_pickle=False) as known:
        return float(np.abs(network(known["inputs"]) - known["outputs"]).max())
