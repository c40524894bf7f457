"""A GPU for ONNX Runtime: whether there is one, and how it is used. Imports nothing of TensorFlow."""

from __future__ import annotations

import logging
import sys
from contextlib import redirect_stdout
from typing import Any, Literal

from shared.core.errors.models import NoGpu

log = logging.getLogger(__name__)

Processor = Literal["cpu", "gpu"]
# Windows a network call, unless VOXMOOD_BATCH_CLIPS says otherwise.
BATCH_CLIPS: dict[Processor, int] = {"cpu": 32, "gpu": 512}
CUDA = "CUDAExecutionProvider"
CUDA_OPTIONS = {
    "use_tf32": "0",  # products of 10 bits would miss the tolerance
    "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all for each new number of clips
    "arena_extend_strategy": "kSameAsRequested",  # other children share the card
}


def onnx_lack() -> str:
    """What ONNX Runtime lacks to run on a GPU, and the remedy; empty if it has a CUDA provider.

    Whether the provider finds driver and card shows only when it starts.
    """
    import onnxruntime

    if CUDA in onnxruntime.get_available_providers():
        return ""
    return (
        f"the installed ONNX Runtime {onnxruntime.__version__} has no CUDA provider; install onnxruntime-gpu "
        "in place of onnxruntime, or set VOXMOOD_RUNTIME=tensorflow with a TensorFlow that sees a GPU"
    )


def cuda_session(graph: bytes, options: Any, demanded: bool) -> Any | None:
    """A session of ONNX Runtime on a GPU.

    Args:
        graph: the network.
        options: of the session.
        demanded: whether a missing GPU is an error.

    Returns:
        None where there is no GPU and none is demanded.

    Raises:
        NoGpu: it is demanded, but cannot be used.
    """
    import onnxruntime

    lack = onnx_lack()
    if not lack:
        providers = [(CUDA, CUDA_OPTIONS), "CPUExecutionProvider"]
        reason: object = "its libraries are not found"
        with redirect_stdout(sys.stderr):  # stdout is where results go
            onnxruntime.preload_dlls()  # those that pip has installed
        try:
            # Its own fallback tells of itself on stdout.
            session = onnxruntime.InferenceSession(graph, options, providers=providers, enable_fallback=0)
            if CUDA in session.get_providers():
                return session
        except Exception as error:  # its exceptions have no base of their own
            reason = error
        lack = (
            f"ONNX Runtime's CUDA provider does not start ({reason}); see whether nvidia-smi shows driver "
            "and card, and whether onnxruntime-gpu[cuda,cudnn] is installed"
        )
        log.warning("No GPU: %s", lack)
    if demanded:
        raise NoGpu(lack=lack)
    return None
