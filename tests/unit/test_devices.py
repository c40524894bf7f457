"""VOXMOOD_DEVICE: where a network runs, what is asked of a runtime for it, and what is said without a GPU.

No GPU is needed here, and none is used: what a card itself would answer is not shown.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from shared.core.errors.infrastructure import InfrastructureError
from shared.core.errors.models import DamagedModel, GpuDiffers, NoGpu
from shared.core.settings import REPOSITORY, Device, Runtime, Settings
from shared.models.serving import registry, runtimes
from shared.models.serving.backend import load_keras
from shared.models.serving.classifier import Classifier
from shared.models.serving.devices import BATCH_CLIPS, CUDA
from shared.models.serving.manifest import MODEL, ONNX, PROBE, Manifest
from shared.models.serving.runtimes import Network, load_network
from tests.unit.serving import accept, voices
from voxmood.cli.main import main
from workers.services import _has_provider

pytestmark = pytest.mark.slow

SHIPPED = REPOSITORY / "saved_models"
VERSION = "seed-v6"
RUNTIMES: tuple[Runtime, ...] = ("onnx", "tensorflow")
FOLDER = SHIPPED / VERSION
started = onnxruntime.InferenceSession


@pytest.fixture
def manifest() -> Manifest:
    return registry.read_manifest(SHIPPED, VERSION)


class Session:
    """ONNX Runtime's session on the CPU, that says it was started with the providers it was asked for."""

    asked: list[Any]

    def __init__(self, graph: bytes, options: Any, providers: list[Any], enable_fallback: int = 1) -> None:
        type(self).asked.append((providers, enable_fallback))
        self.real = started(graph, options, providers=["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        providers, _ = self.asked[-1]
        return [one if isinstance(one, str) else one[0] for one in providers]

    def get_inputs(self) -> Any:
        return self.real.get_inputs()

    def run(self, names: Any, inputs: Any) -> Any:
        return self.real.run(names, inputs)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """ONNX Runtime as onnxruntime-gpu would be, up to the card; what it is asked for."""
    Session.asked = []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return Session.asked


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_without_a_gpu_the_cpu_runs_it_and_the_log_says_so(
    manifest: Manifest, runtime: Runtime, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        network = load_network(FOLDER, manifest, runtime, 1, device)
    assert network.processor == "cpu"
    assert f"seed-v6 runs on a CPU, by {runtime}" in caplog.text


@pytest.mark.parametrize(
    ("runtime", "sentence"),
    [
        ("onnx", r"no CUDA provider; install onnxruntime-gpu .*RUNTIME=tensorflow .* VOXMOOD_DEVICE=cpu"),
        ("tensorflow", r"TensorFlow \S+ sees none; install tensorflow\[and-cuda\] .* VOXMOOD_DEVICE=cpu"),
    ],
)  # fmt: skip
def test_a_gpu_that_is_demanded_and_not_there_is_an_error_that_says_what_to_do(
    manifest: Manifest, runtime: Runtime, sentence: str
) -> None:
    with pytest.raises(NoGpu, match=sentence) as caught:
        load_network(FOLDER, manifest, runtime, 1, "gpu")
    assert isinstance(caught.value, InfrastructureError), "else the recordings would be blamed"


def test_the_setting_reaches_the_runtime(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name, content = voices(1)[0]
    (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("VOXMOOD_DEVICE", "gpu")
    monkeypatch.setenv("VOXMOOD_RUNTIME", "onnx")
    monkeypatch.setattr(sys, "argv", ["voxmood", "classify", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code
    assert "VOXMOOD_DEVICE=gpu demands a GPU, but" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(NoGpu):
        _has_provider()


@pytest.mark.parametrize("device", ["gpu", "auto"])
def test_a_provider_that_is_there_is_asked_for_without_tf32(
    manifest: Manifest, provider: list[Any], device: Device, capfd: pytest.CaptureFixture[str]
) -> None:
    network = load_network(FOLDER, manifest, "onnx", 1, device)
    assert network.processor == "gpu"
    [(providers, fallback)] = provider
    assert [providers[0][0], providers[1]] == [CUDA, "CPUExecutionProvider"]
    assert providers[0][1]["use_tf32"] == "0"
    assert not fallback
    assert capfd.readouterr().out == "", "there the results go"
    assert _has_provider()


def test_the_cpu_alone_is_asked_for_where_cpu_is_said(manifest: Manifest, provider: list[Any]) -> None:
    assert load_network(FOLDER, manifest, "onnx", 1, "cpu").processor == "cpu"
    assert provider == [(["CPUExecutionProvider"], 1)]


def test_a_provider_that_does_not_start_is_told_or_done_without(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where driver or libraries are missing: ONNX Runtime itself then leaves the provider out."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    with pytest.raises(NoGpu, match="does not start .* nvidia-smi"):
        load_network(FOLDER, manifest, "onnx", 1, "gpu")
    assert load_network(FOLDER, manifest, "onnx", 1, "auto").processor == "cpu"
    assert "CUDA provider does not start" in caplog.text


def straying(answer: Any, on_cpu: float) -> Any:
    """`onnx_network`, on a GPU by 3e-5 astray, and on the CPU by `on_cpu`."""

    def make(file: Path, threads: int, device: Device = "cpu") -> Network:
        network = answer(file, threads, "cpu")
        by = on_cpu if device == "cpu" else 3e-5
        return Network(lambda batch: network(batch) + np.float32(by), "cpu" if device == "cpu" else "gpu")

    return make


def test_a_gpu_that_answers_the_probe_otherwise_is_not_used_and_the_model_not_blamed(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runtimes, "onnx_network", straying(runtimes.onnx_network, on_cpu=0.0))
    with pytest.raises(GpuDiffers, match="model.onnx is sound, .* 3e-05 otherwise than the CPU"):
        load_network(FOLDER, manifest, "onnx", 1, "gpu")
    assert load_network(FOLDER, manifest, "onnx", 1, "auto").processor == "cpu"
    assert "the CPU runs it" in caplog.text


def test_a_model_that_the_cpu_answers_otherwise_too_is_damaged(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "onnx_network", straying(runtimes.onnx_network, on_cpu=4e-5))
    for device in ("gpu", "auto"):
        with pytest.raises(DamagedModel, match="4e-05 otherwise than at its training"):
            load_network(FOLDER, manifest, "onnx", 1, device)


def test_batches_are_as_large_as_the_processor_likes_unless_a_setting_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, provider: list[Any]
) -> None:
    monkeypatch.delenv("VOXMOOD_BATCH_CLIPS", raising=False)
    handed: list[int] = []
    run = Session.run
    monkeypatch.setattr(
        Session,
        "run",
        lambda self, names, inputs: handed.append(len(inputs["features"])) or run(self, names, inputs),
    )
    clips = voices(1) * 40
    for device, size, batches in (("cpu", 32, [32, 8]), ("gpu", 512, [40])):
        monkeypatch.setenv("VOXMOOD_DEVICE", device)
        classifier = Classifier.load(SHIPPED, VERSION, runtime="onnx")
        assert classifier.batch_size(Settings().batch_clips) == size
        assert classifier.batch_size(7) == 7
        handed.clear()
        classifier.classify(clips)
        assert handed == batches
    assert BATCH_CLIPS == {"cpu": 32, "gpu": 512}


def test_keras_is_handed_few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = load_keras(threads=1)
    shapes: list[int] = []

    class Recorded:
        def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
            shapes.append(len(batch))
            return batch.reshape(len(batch), -1)[:, :2]

    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: Recorded())
    network = runtimes.keras_network(FOLDER / MODEL, threads=1)
    for clips in (1, 4, 32, 33, 512):
        inputs = np.random.default_rng(clips).normal(size=(clips, 3, 2)).astype(np.float32)
        assert np.array_equal(network(inputs), inputs.reshape(clips, -1)[:, :2])
    assert shapes == [32, 32, 32, 64, 512]


def test_tensorflow_shares_a_gpu_and_with_cpu_sees_none() -> None:
    program = """if True:
        import os
        from shared.models.serving.backend import load_keras
        load_keras()
        import tensorflow as tf
        print(os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["TF_FORCE_GPU_ALLOW_GROWTH"])
        print(tf.config.experimental.tensor_float_32_execution_enabled())
    """
    for device, hidden in (("cpu", "-1"), ("auto", "3")):
        environment = {**os.environ, "VOXMOOD_DEVICE": device, "CUDA_VISIBLE_DEVICES": "3"}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
        assert done.stdout.split() == [hidden, "true", "False"], done.stderr


def test_a_version_without_a_probe_is_run_all_the_same(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / VERSION)
    for name in (ONNX, PROBE):
        (tmp_path / VERSION / name).unlink()
        accept(tmp_path, name)
    own = registry.read_manifest(tmp_path, VERSION)
    with pytest.raises(NoGpu, match="TensorFlow"):
        load_network(tmp_path / VERSION, own, "onnx", 1, "gpu")
    assert load_network(tmp_path / VERSION, own, "onnx", 1, "auto").processor == "cpu"
