"""Model versions on disk: found by name, described, verified, and never half written."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest

from shared.core.errors.models import DamagedModel, ModelExists, WrongVersionName
from shared.core.errors.requests import UnknownModel
from shared.core.settings import REPOSITORY, Settings
from shared.models.serving import registry
from shared.models.serving.detectors import SILERO
from shared.models.training.recipes import RECIPES, successor

SHIPPED = REPOSITORY / "saved_models"
VERSION = "seed-v6"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED / VERSION, tmp_path / VERSION)
    return tmp_path


def test_the_shipped_version_is_whole_and_says_where_it_comes_from() -> None:
    manifest = registry.verify(SHIPPED, VERSION)
    assert manifest.labels == ["angry", "calm", "disgust", "fearful", "happy", "neutral"]
    assert manifest.unknown_labels == ["sad", "surprised"]
    assert manifest.threshold == 0.85
    assert manifest.feature_spec.shape == (32, 94, 2)
    assert manifest.speakers.reserve == ["19", "20"]
    assert not set(manifest.speakers.reserve) & {*manifest.speakers.training, *manifest.speakers.test}
    assert manifest.data.licence == "CC BY-NC-SA 4.0"
    assert manifest.commit
    assert sum(map(sum, manifest.metrics.confusion_matrix)) == manifest.data.test_clips


def test_the_shipped_folder_holds_what_the_manifest_says_and_small_pictures() -> None:
    folder = SHIPPED / VERSION
    there = {file.name for file in folder.iterdir() if not file.name.endswith("_best.keras")}
    assert there == {*registry.read_manifest(SHIPPED, VERSION).files, "manifest.json"}
    assert there >= {"model.keras", "labels.json", "labels.pkl", "class_weights.json", "README.md"}
    pictures = list(folder.glob("*.png"))
    assert [picture.name for picture in sorted(pictures)] == ["confusion_matrix.png", "training_curves.png"]
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


def test_the_shipped_label_files_say_the_same() -> None:
    folder, manifest = SHIPPED / VERSION, registry.read_manifest(SHIPPED, VERSION)
    encoder = pickle.loads((folder / "labels.pkl").read_bytes())
    assert encoder.inverse_transform([4]).tolist() == ["happy"]
    assert encoder.classes_.tolist() == json.loads((folder / "labels.json").read_text()) == manifest.labels
    assert json.loads((folder / "class_weights.json").read_text()) == manifest.class_weights


def test_versions_are_the_folders_with_a_manifest(models: Path) -> None:
    (models / "empty").mkdir()
    for name in ("candidate", ".seed-v7.half"):
        shutil.copytree(models / VERSION, models / name)
    assert registry.versions(models) == ["candidate", VERSION]
    assert registry.versions(models / "nowhere") == []


def test_versions_are_looked_up_in_several_folders_and_the_first_wins(models: Path, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    for name in (VERSION, "later"):
        shutil.copytree(models / VERSION, trained / name)
    both = models, trained
    assert registry.versions(both) == ["later", VERSION]
    assert registry.folder_of(both, "later") == trained / "later"
    assert registry.folder_of(both, VERSION) == models / VERSION
    assert registry.verify(both, "later").labels
    with pytest.raises(UnknownModel, match=r"Available: later, seed-v6\."):
        registry.verify(both, "latest")


@pytest.mark.parametrize("name", ["seed-v7", "", ".", "..", "../saved_models/seed-v6", "seed-v6/../seed-v6"])
def test_an_unknown_version_is_answered_with_those_that_there_are(models: Path, name: str) -> None:
    with pytest.raises(UnknownModel, match=r"Available: seed-v6\."):
        registry.read_manifest(models, name)


def test_what_ships_is_whole_and_says_who_was_heard() -> None:
    manifests = {version: registry.verify(SHIPPED, version) for version in registry.versions(SHIPPED)}
    assert set(manifests) == {"seed-v6", "v8", "v8-six", "v8-small"}
    assert Settings().champion == "v8"
    actors = [f"{number:02}" for number in range(1, 19)]
    for version in ("v8", "v8-six", "v8-small"):
        manifest = manifests[version]
        of_ravdess = "ravdess/"
        heard = [one for one in manifest.speakers.training if one.startswith(of_ravdess)]
        assert [one.removeprefix(of_ravdess) for one in heard][-18:] == actors
        assert manifest.speakers.reserve == [f"{of_ravdess}19", f"{of_ravdess}20"]
        assert manifest.voice_detector == SILERO
        assert not manifest.hears_no_voice
        assert manifest.threshold_rule.name == "risk"
        curve = manifest.threshold_rule.curve
        assert curve[-1][0] < manifest.threshold < curve[0][0]
        assert {"README.md", "reliability.png", "risk_coverage.png", "confusion_matrix.png"} <= set(
            manifest.files
        )
    assert {successor(manifest.network) for manifest in manifests.values()} <= set(RECIPES), "all retrain"
    assert manifests["v8-six"].unknown_labels == ["sad", "surprised"]
    for version in ("v8", "v8-small"):
        assert manifests[version].unknown_labels == []
        assert len(manifests[version].labels) == 8
    assert max(file.stat().st_size for file in SHIPPED.rglob("*")) < 25_000_000


def test_a_changed_or_missing_file_is_named(models: Path) -> None:
    with (models / VERSION / "model.keras").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DamagedModel, match="model.keras has changed"):
        registry.verify(models, VERSION)
    (models / VERSION / "model.keras").unlink()
    with pytest.raises(DamagedModel, match="model.keras is missing"):
        registry.verify(models, VERSION)


def test_a_damaged_manifest_is_named_with_the_field(models: Path) -> None:
    file = models / VERSION / "manifest.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "threshold": "high"}))
    with pytest.raises(DamagedModel, match="manifest.json: threshold: "):
        registry.read_manifest(models, VERSION)
    file.write_text("{")
    with pytest.raises(DamagedModel, match="manifest.json: JSON: "):
        registry.read_manifest(models, VERSION)


def test_a_manifest_of_a_later_voxmood_is_read(models: Path) -> None:
    file = models / VERSION / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "temperature": 1.3}))
    assert registry.verify(models, VERSION).version == VERSION


def test_a_new_version_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with registry.new_version(tmp_path / "models", "v1") as folder:
        (folder / "manifest.json").write_text("{}")
        assert registry.versions(tmp_path / "models") == []
    assert registry.versions(tmp_path / "models") == ["v1"]
    with pytest.raises(KeyboardInterrupt), registry.new_version(tmp_path / "models", "v2") as folder:
        (folder / "manifest.json").write_text("{}")
        raise KeyboardInterrupt
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["v1"]


def test_a_version_is_never_replaced(tmp_path: Path) -> None:
    with registry.new_version(tmp_path, "v1") as folder:
        (folder / "manifest.json").write_text("first")
    with (
        pytest.raises(ModelExists, match="v1 exists already"),
        registry.new_version(tmp_path, "v1") as folder,
    ):
        (folder / "manifest.json").write_text("second")
    assert (tmp_path / "v1" / "manifest.json").read_text() == "first"


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "-rf", "ü"])
def test_a_name_that_is_no_plain_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongVersionName):
        registry.check_new(tmp_path, name)
