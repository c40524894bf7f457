"""Both runtimes answer alike, each version is checked when it is loaded, and ONNX needs no TensorFlow."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from shared.audio.spec import BASELINE_V6
from shared.core.errors.models import DamagedModel, NotExported, UnsafeModel
from shared.core.settings import REPOSITORY, Runtime
from shared.models.serving import registry
from shared.models.serving.backend import load_keras
from shared.models.serving.classifier import Classifier
from shared.models.serving.manifest import MODEL, ONNX, PROBE, Manifest
from shared.models.serving.provenance import read_graph
from shared.models.serving.runtimes import TOLERANCE, distance, onnx_network
from shared.models.training.export import complete, export, probe_inputs
from tests.recordings import RAVDESS
from tests.unit.serving import accept, table, voices
from voxmood.cli.main import main

pytestmark = pytest.mark.slow

SHIPPED = REPOSITORY / "saved_models"
VERSION = "seed-v6"
RUNTIMES: tuple[Runtime, ...] = ("onnx", "tensorflow")


# v8-six is v8's network with fewer outputs.
OF_V8 = {"v8-six"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(version, marks=pytest.mark.long) if version in OF_V8 else version
        for version in registry.versions(SHIPPED)
    ],
)
def both(request: pytest.FixtureRequest) -> list[Classifier]:
    return [Classifier.load(SHIPPED, request.param, runtime=runtime) for runtime in RUNTIMES]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The shipped version, to be changed."""
    shutil.copytree(SHIPPED / VERSION, tmp_path / VERSION)
    return tmp_path


def change_graph(models: Path, change: Any) -> None:
    """Change the graph of the .onnx file by change(graph), as one does who may write into the folder."""
    model = onnx.load(models / VERSION / ONNX)
    change(model.graph)
    onnx.save(model, models / VERSION / ONNX)
    accept(models, ONNX)


def test_both_runtimes_agree_on_70_clips(both: list[Classifier]) -> None:
    answers = [classifier.classify(voices(70)) for classifier in both]
    heard = [[verdict for verdict in verdicts if verdict.probabilities] for verdicts in answers]
    assert [verdict.path for verdict in heard[0]] == [verdict.path for verdict in heard[1]]
    assert len(heard[0]) > 60, "a detector may hear no voice in some that are made in code"
    one, other = map(table, heard)
    assert np.abs(one - other).max() <= TOLERANCE
    assert np.unique(one.argmax(axis=1)).size >= 3, "clips that all sound alike would show little"


@pytest.mark.skipif(not RAVDESS.is_dir(), reason="the recordings do not lie beside the clone")
@pytest.mark.parametrize("count", [50, pytest.param(200, marks=pytest.mark.long)])
def test_both_runtimes_agree_on_recordings(both: list[Classifier], count: int) -> None:
    files = sorted(RAVDESS.rglob("*.flac"))
    files = files[:: len(files) // 200][:200][:: 200 // count]
    clips = [(file.name, file.read_bytes()) for file in files]
    one, other = (table(classifier.classify(clips)) for classifier in both)
    assert len(one) == count
    assert np.abs(one - other).max() <= TOLERANCE


def test_a_worker_that_serves_onnx_does_not_import_tensorflow() -> None:
    program = f"""if True:
        import sys
        from pathlib import Path
        import workers.app
        from workers.classify import classifier
        from shared.audio.synthesis import speech_like, wav_bytes
        loaded = classifier((Path({str(SHIPPED)!r}),), {VERSION!r})
        print(loaded.classify([("a.wav", wav_bytes(speech_like(), 16000))])[0].outcome)
        print(sorted({{"tensorflow", "keras", "onnxruntime"}} & set(sys.modules)))
    """
    environment = {**os.environ, "VOXMOOD_RUNTIME": "onnx"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
    outcome, modules = done.stdout.splitlines()
    assert outcome in {"classified", "rejected"}, done.stderr
    assert modules == "['onnxruntime']"


def test_an_unknown_runtime_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOXMOOD_RUNTIME", "torch")
    monkeypatch.setattr(sys, "argv", ["voxmood", "classify", __file__])
    with pytest.raises(SystemExit, match="2"):
        main()
    sentence = "VOXMOOD_RUNTIME must be 'onnx' or 'tensorflow', not 'torch'."
    assert sentence in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_probe_that_is_answered_otherwise_is_refused(models: Path, runtime: Runtime) -> None:
    with np.load(models / VERSION / PROBE) as probe:
        inputs, outputs = probe["inputs"], probe["outputs"]
    outputs[1, 2] += 3e-5
    np.savez_compressed(models / VERSION / PROBE, inputs=inputs, outputs=outputs)
    accept(models, PROBE)
    with pytest.raises(DamagedModel, match="answers its probe 3e-05 otherwise than at its training"):
        Classifier.load(models, VERSION, runtime=runtime)


def test_a_graph_whose_weights_were_changed_a_little_is_refused(models: Path) -> None:
    def change(graph: Any) -> None:
        largest = max(graph.initializer, key=lambda tensor: len(tensor.raw_data))
        weights = np.frombuffer(largest.raw_data, np.float32)
        largest.raw_data = (weights * np.float32(1.001)).tobytes()

    change_graph(models, change)
    with pytest.raises(DamagedModel, match="model.onnx answers its probe"):
        Classifier.load(models, VERSION, runtime="onnx")
    assert Classifier.load(models, VERSION, runtime="tensorflow")


def test_a_changed_onnx_file_is_refused(models: Path) -> None:
    with (models / VERSION / ONNX).open("ab") as file:
        file.write(b"\x00")
    with pytest.raises(DamagedModel, match="model.onnx has changed"):
        Classifier.load(models, VERSION, runtime="onnx")


def test_a_graph_that_reads_another_file_is_refused(models: Path) -> None:
    model = onnx.load(models / VERSION / ONNX)
    onnx.save(
        model, models / VERSION / ONNX, save_as_external_data=True, location="weights", size_threshold=0
    )
    accept(models, ONNX)
    with pytest.raises(UnsafeModel, match=r"model.onnx is not loaded: it names weights in another file"):
        Classifier.load(models, VERSION, runtime="onnx")


def test_a_graph_that_reads_another_file_inside_a_branch_is_refused(models: Path) -> None:
    def change(graph: Any) -> None:
        tensor = onnx.TensorProto(name="hidden", data_location=onnx.TensorProto.EXTERNAL)
        branch = onnx.helper.make_graph([], "branch", [], [], [tensor])
        graph.node.append(onnx.helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch))

    change_graph(models, change)
    with pytest.raises(UnsafeModel, match=r"weights in another file \(hidden\)"):
        read_graph(models / VERSION / ONNX)


def test_an_operator_that_is_not_of_onnx_is_refused(models: Path) -> None:
    change_graph(
        models,
        lambda graph: graph.node.append(
            onnx.helper.make_node(
                "EPContext", [], ["y"], domain="com.microsoft", ep_cache_context="other.bin"
            )
        ),
    )
    with pytest.raises(UnsafeModel, match=r"it names com.microsoft.EPContext"):
        Classifier.load(models, VERSION, runtime="onnx")


def test_what_is_no_graph_is_refused(models: Path) -> None:
    (models / VERSION / ONNX).write_bytes(b"no graph")
    accept(models, ONNX)
    with pytest.raises(UnsafeModel, match="no readable graph"):
        Classifier.load(models, VERSION, runtime="onnx")


def test_a_graph_of_great_size_is_refused_unread(models: Path) -> None:
    with (models / VERSION / ONNX).open("wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(UnsafeModel, match="weights of over 268435456 bytes"):
        read_graph(models / VERSION / ONNX)


def test_a_version_without_an_onnx_form_is_run_by_tensorflow_until_it_gets_one(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (models / VERSION / ONNX).unlink()
    (models / VERSION / PROBE).unlink()
    accept(models, ONNX)
    accept(models, PROBE)
    assert registry.read_manifest(models, VERSION).runtimes == ["tensorflow"]
    clips = voices(3)
    expected = table(Classifier.load(SHIPPED, VERSION, runtime="onnx").classify(clips))
    with caplog.at_level(logging.INFO):
        old = Classifier.load(models, VERSION, runtime="onnx")
    assert "seed-v6 has no model.onnx: TensorFlow runs it" in caplog.text
    assert np.abs(table(old.classify(clips)) - expected).max() <= TOLERANCE

    complete(models, VERSION)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        new = Classifier.load(models, VERSION, runtime="onnx")
    assert "seed-v6 runs on a CPU, by onnx" in caplog.text
    assert "TensorFlow runs it" not in caplog.text
    assert np.abs(table(new.classify(clips)) - expected).max() <= TOLERANCE
    assert registry.verify(models, VERSION).runtimes == ["onnx", "tensorflow"]
    assert (models / VERSION / MODEL).read_bytes() == (SHIPPED / VERSION / MODEL).read_bytes()
    made = (models / VERSION / ONNX).read_bytes()
    complete(models, VERSION)
    assert (models / VERSION / ONNX).read_bytes() == made


def residual_network() -> Any:
    """What networks to come are made of: normalised features, dilated and depthwise convolutions, residual
    sums, statistics pooling weighed by attention over time, and recurrence. Weights as they are drawn."""
    keras = load_keras()
    keras.utils.set_random_seed(1)
    layers, ops = keras.layers, keras.ops
    inputs = keras.Input(BASELINE_V6.shape)
    mean, variance = 0.1, 1.5
    x = layers.Normalization(axis=None, mean=mean, variance=variance)(inputs)
    x = layers.Reshape((32, 94 * 2))(x)
    x = layers.Conv1D(32, 5, padding="same")(x)
    for dilation in (1, 2, 4):
        y = layers.DepthwiseConv1D(3, padding="same")(x)
        y = layers.Conv1D(32, 3, padding="same", dilation_rate=dilation, activation="silu")(y)
        x = layers.LayerNormalization()(layers.Add()([x, layers.BatchNormalization()(y)]))
    weights = layers.Softmax(axis=1)(layers.Dense(1)(layers.Dense(8, activation="tanh")(x)))
    centre = ops.sum(weights * x, axis=1)
    spread = ops.sqrt(ops.sum(weights * ops.square(x), axis=1) - ops.square(centre) + 1e-3)
    heard = layers.GRU(4)(layers.AveragePooling1D(4)(x))
    pooled = layers.Concatenate()([centre, spread, ops.mean(x, axis=1), ops.std(x, axis=1), heard])
    return keras.Model(inputs, layers.Dense(8, activation="softmax")(layers.Dropout(0.3)(pooled)))


def toy_manifest() -> Manifest:
    shipped = registry.read_manifest(SHIPPED, VERSION)
    return shipped.model_copy(update={"version": "toy"})


def test_a_network_of_modern_layers_is_exported(tmp_path: Path) -> None:
    network = residual_network()
    export(network, toy_manifest(), tmp_path)
    on_onnx = onnx_network(tmp_path / ONNX, threads=1)
    assert distance(on_onnx, tmp_path / PROBE) <= TOLERANCE
    assert distance(network.predict_on_batch, tmp_path / PROBE) <= TOLERANCE
    inputs = np.random.default_rng(0).normal(0, 1, (33, *BASELINE_V6.shape)).astype(np.float32)
    expected = network.predict_on_batch(inputs)
    assert np.ptp(expected, axis=0).max() > 100 * TOLERANCE, "answers that are all alike would show little"
    for n in (1, 32, 33):
        assert np.abs(on_onnx(inputs[:n]) - expected[:n]).max() <= TOLERANCE


def test_a_network_that_onnx_answers_otherwise_is_no_version(tmp_path: Path) -> None:
    """The last bit of a mean decides what this one answers."""
    keras = load_keras()
    inputs = keras.Input(BASELINE_V6.shape)
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 5)(inputs))
    network = keras.Model(inputs, keras.ops.sin(1e6 * mean))
    with pytest.raises(NotExported, match=r"toy is not made, .* alike: it answers \de[-+]\d\d otherwise"):
        export(network, toy_manifest(), tmp_path)


def test_the_probe_is_always_the_same() -> None:
    with np.load(SHIPPED / VERSION / PROBE) as probe:
        spec = registry.read_manifest(SHIPPED, VERSION).feature_spec
        assert np.abs(probe_inputs(spec) - probe["inputs"]).max() < 1e-3
        assert probe["outputs"].max(axis=1).min() < 0.9, "saturated answers would hide a difference"
