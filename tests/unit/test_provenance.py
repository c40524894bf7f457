"""Weights are loaded only if they are those that the version is known by, and bring no code."""

from __future__ import annotations

import ast
import json
import shutil
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from packaging.version import Version

from api.app import create_app
from shared.core.errors.models import DamagedModel, ModelReplaced, UnsafeModel
from shared.core.settings import REPOSITORY, Settings
from shared.database import upgrade
from shared.database.sessions import Database
from shared.models.serving import provenance, registry, version_pins
from shared.models.serving.backend import load_keras
from shared.models.serving.classifier import Classifier
from shared.models.serving.manifest import MODEL, ONNX, PROBE
from tests.unit.serving import accept

SHIPPED = REPOSITORY / "saved_models"
VERSION = "seed-v6"
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED / VERSION, tmp_path / VERSION)
    return tmp_path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'voxmood.db'}")
    upgrade.upgrade(made)
    yield made
    made.close()


def others(models: Path) -> Path:
    """The shipped weights with another hash."""
    other = models / "other.keras"
    shutil.copyfile(models / VERSION / MODEL, other)
    with zipfile.ZipFile(other, "a") as archive:
        archive.comment = b"another"
    return other


def replace_weights(models: Path, archive: Path) -> None:
    """As one does who may write into the folder: the manifest says what the files are."""
    shutil.copyfile(archive, models / VERSION / MODEL)
    accept(models, MODEL)


def test_what_ships_names_only_layers_of_keras_and_operators_of_onnx() -> None:
    for version in registry.versions(SHIPPED):
        provenance.check_archive(SHIPPED / version / MODEL)
        assert provenance.read_graph(SHIPPED / version / ONNX)


def test_a_model_with_a_lambda_is_refused_before_keras_reads_it(models: Path, tmp_path: Path) -> None:
    keras = load_keras()
    network = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda values: values * 2)])
    network.save(tmp_path / "lambda.keras")
    with pytest.raises(UnsafeModel, match="Lambda"):
        provenance.check_archive(tmp_path / "lambda.keras")
    replace_weights(models, tmp_path / "lambda.keras")
    with pytest.raises(UnsafeModel, match="model.keras is not loaded: it names"):
        Classifier.load(models, VERSION, runtime="tensorflow")


@pytest.mark.parametrize(
    "named",
    [
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"module": "os", "class_name": "system", "config": {}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/elsewhere"}},
        {"module": "keras.layers", "class_name": "Dense", "registered_name": "Mine>Dense", "config": {}},
        {"class_name": "Dense", "config": {}},
    ],
)
def test_a_model_that_names_code_from_elsewhere_is_refused(tmp_path: Path, named: dict[str, object]) -> None:
    file = tmp_path / MODEL
    with zipfile.ZipFile(SHIPPED / VERSION / MODEL) as sound, zipfile.ZipFile(file, "w") as made:
        config = json.loads(sound.read("config.json"))
        config["config"]["layers"][3]["config"]["activation"] = named
        made.writestr("config.json", json.dumps(config))
    with pytest.raises(UnsafeModel, match=str(named["class_name"])):
        provenance.check_archive(file)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_model_archive_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MODEL).write_bytes(content)
    with pytest.raises(UnsafeModel, match="no readable config.json"):
        provenance.check_archive(tmp_path / MODEL)


def test_changed_weights_are_refused(models: Path) -> None:
    with (models / VERSION / MODEL).open("ab") as file:
        file.write(b"\x00")
    with pytest.raises(DamagedModel, match="model.keras has changed"):
        Classifier.load(models, VERSION)


def test_a_version_whose_weights_the_database_knows_otherwise_is_refused(
    models: Path, database: Database
) -> None:
    version_pins.confirm(database, registry.verify(models, VERSION))
    version_pins.confirm(database, registry.verify(models, VERSION))
    replace_weights(models, others(models))
    changed = registry.verify(models, VERSION)  # the folder alone has nothing to say against it
    with pytest.raises(ModelReplaced, match="seed-v6 has other weights now"):
        version_pins.confirm(database, changed)


@pytest.mark.parametrize("name", [ONNX, PROBE])
def test_an_onnx_form_or_probe_that_the_database_knows_otherwise_is_refused(
    models: Path, database: Database, name: str
) -> None:
    version_pins.confirm(database, registry.verify(models, VERSION))
    with (models / VERSION / name).open("ab") as file:
        file.write(b"another")
    accept(models, name)
    with pytest.raises(ModelReplaced, match="seed-v6 has other weights now"):
        version_pins.confirm(database, registry.verify(models, VERSION))


def test_weights_that_the_manifest_names_no_more_are_refused(models: Path, database: Database) -> None:
    """No hash would be held against them."""
    version_pins.confirm(database, registry.verify(models, VERSION))
    manifest = registry.verify(models, VERSION)
    del manifest.files[MODEL]
    with pytest.raises(ModelReplaced):
        version_pins.confirm(database, manifest)


def test_an_onnx_form_that_came_later_is_known_from_then_on(models: Path, database: Database) -> None:
    graph, folder = (models / VERSION / ONNX).read_bytes(), models / VERSION
    (folder / ONNX).unlink()
    accept(models, ONNX)
    version_pins.confirm(database, registry.verify(models, VERSION))
    for content in (graph, None, graph):  # taken away again, TensorFlow runs the same weights
        (folder / ONNX).write_bytes(content) if content else (folder / ONNX).unlink()
        accept(models, ONNX)
        version_pins.confirm(database, registry.verify(models, VERSION))
    (folder / ONNX).write_bytes(graph + b"another")
    accept(models, ONNX)
    with pytest.raises(ModelReplaced):
        version_pins.confirm(database, registry.verify(models, VERSION))


def test_a_job_for_changed_weights_is_refused_with_a_sentence(models: Path, database: Database) -> None:
    settings = Settings(models_dir=models, database_url=str(database.url))
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        assert client.post("/v1/jobs", json={"model": VERSION}).status_code == 201
        replace_weights(models, others(models))
        refused = client.post("/v1/jobs", json={"model": VERSION})
    assert (refused.status_code, refused.json()["code"]) == (409, "model_replaced")


def test_no_code_reads_pickles() -> None:
    found = {}
    for folder in ("api", "workers", "shared", "infra"):
        for file in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                elif isinstance(node, ast.keyword):
                    assert node.arg != "allow_pickle" or ast.unparse(node.value) == "False", file
                elif isinstance(node, ast.Attribute) and file.name == "publication.py":
                    assert ast.unparse(node) not in {"pickle.load", "pickle.loads", "pickle.Unpickler"}
                if UNSAFE & {name.partition(".")[0] for name in names}:
                    found[file.relative_to(REPOSITORY).as_posix()] = names
    # It writes labels.pkl as the seed did, for those who have the seed's programs; nothing here reads it.
    assert found == {"shared/models/training/publication.py": ["pickle"]}


def test_keras_is_new_enough_to_keep_its_promises_about_safe_mode() -> None:
    assert Version(metadata.version("keras")) >= Version("3.15")
