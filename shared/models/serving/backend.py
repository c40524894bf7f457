"""Keras on TensorFlow, imported only by those who train or run a network with it, and kept quiet."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from shared.core.extras import require
from shared.core.settings import Settings


def load_keras(threads: int | None = None) -> Any:
    """Import Keras with TensorFlow beneath it.

    Takes about 6 s the first time. On a GPU, TensorFlow takes memory as it needs it, since other processes
    share the card; with VOXMOOD_DEVICE=cpu it sees none.

    Args:
        threads: how many TensorFlow uses within an operation and between operations; None: its own default. A
            process that has run an operation already keeps its threads.

    Returns:
        The module keras.
    """
    require("train", "Running a network by TensorFlow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # whatever ~/.keras/keras.json says
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if "tensorflow" not in sys.modules and Settings().device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with _quiet():
        import keras
        import tensorflow as tf

    # An ensemble's networks are new each time, and TensorFlow warns of that as of a mistake.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # On GPUs, TensorFloat-32 (TF32) keeps 10 bits of a factor: answers, and those of the probe that checks a
    # version, would be some 1e-3 from the CPU's.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if threads is not None:
        with suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    return keras


def tensorflow_lack() -> str:
    """What TensorFlow lacks to run on a GPU, and the remedy; empty if it sees a GPU."""
    load_keras()
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return ""
    return (
        f"TensorFlow {tf.__version__} sees none; install tensorflow[and-cuda] in place of tensorflow-cpu, "
        "and see whether nvidia-smi shows driver and card"
    )


def reset_weights(network: Any, fresh: Any) -> None:
    """Make a compiled network as if it were new, but traced already.

    Args:
        network: gets the weights and random states of `fresh`, and an optimizer that remembers nothing.
        fresh: a new network of the same shape.
    """
    for layer, new in zip(network.layers, fresh.layers, strict=True):
        for variable, value in zip(layer.variables, new.variables, strict=True):
            variable.assign(value)
    for variable in network.optimizer.variables:
        variable.assign(variable * 0)


@contextmanager
def _quiet() -> Iterator[None]:
    """No stderr meanwhile: TensorFlow 2.21 writes four lines about oneDNN to it, past every log level."""
    if "tensorflow" in sys.modules:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor is what dup2 needs
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
