"""What runs the network of a version: ONNX Runtime, or Keras on TensorFlow; and on which processor.

Each is imported only if it is used. Both give the same answers: docs/decisions/004-runtime.md says how fast
each is, and why ONNX is the default.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio.arrays import Floats
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
    """A loaded network.

    Attributes:
        answer: computes probabilities of features.
        processor: what runs it.
    """

    answer: Callable[[Floats], Floats]
    processor: Processor

    def __call__(self, batch: Floats) -> Floats:
        """Compute probabilities.

        Args:
            batch: features, float32, shape (n, *spec.shape).

        Returns:
            Float32, shape (n, labels).
        """
        return self.answer(batch)


def load_network(
    folder: Path, manifest: Manifest, runtime: Runtime, threads: int, device: Device = "auto"
) -> Network:
    """Load the network of a version and check that it answers its probe as at its training.

    A version that the runtime cannot run is run by Keras, whose import takes some 6 s. Where a GPU answers
    otherwise than the CPU, the CPU runs it with `auto`.

    Args:
        folder: of the version; `registry.verify` must have checked its files.
        manifest: of the version.
        runtime: what is to run it.
        threads: of the runtime.
        device: the processor.

    Raises:
        DamagedModel: it answers its probe otherwise.
        UnsafeModel: a file holds more than weights.
        DoesNotRun: the runtime cannot run the network.
        NoGpu: a GPU is demanded, but there is none.
        GpuDiffers: a GPU is demanded, but answers otherwise than the CPU.
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
    """Load an .onnx file with ONNX Runtime.

    Args:
        file: the graph.
        threads: of the runtime.
        device: the processor.

    Raises:
        UnsafeModel: the file holds more than a graph of ONNX' own operators.
        DoesNotRun: ONNX Runtime cannot run it.
        NoGpu: a GPU is demanded, but there is none.
    """
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
    """The options of every session of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.enable_mem_pattern = False  # 24 MB less for seed-v6, and no slower
    return options


def keras_network(file: Path, threads: int, device: Device = "cpu") -> Network:
    """Load a .keras file with TensorFlow.

    Args:
        file: the archive.
        threads: of the runtime.
        device: the processor.

    Raises:
        UnsafeModel: the archive names more than Keras brings.
        NoGpu: a GPU is demanded, but there is none.
    """
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
    """The largest difference between a network's answers and those of the probe.

    Args:
        network: takes features and returns probabilities.
        probe: the file from shared.models.training.export.
    """
    with np.load(probe, allow_pickle=False) as known:
        return float(np.abs(network(known["inputs"]) - known["outputs"]).max())
