"""`voxmood train` and `voxmood classify` as a person uses them: no stack, a folder of recordings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from shared.models.serving.registry import verify

VOXMOOD = Path(sys.executable).with_name("voxmood")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings named as RAVDESS names them, of actors 01 to 08 and the one to keep out, 09."""
    folder = tmp_path_factory.mktemp("recordings")
    for actor in range(1, 10):
        for code, emotion in (("05", "angry"), ("02", "calm"), ("04", "sad")):
            file = folder / f"Actor_{actor:02}" / f"03-01-{code}-01-01-01-{actor:02}.wav"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(wav_bytes(speech_like(emotion, 48000, 1.0, seed=actor), 48000))
    (folder / "Actor_01" / ".DS_Store").write_bytes(b"litter")
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**os.environ, "VOXMOOD_MODELS_DIR": str(tmp_path_factory.mktemp("models"))}


def voxmood(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [VOXMOOD, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def trained(recordings: Path, environment: dict[str, str]) -> dict[str, object]:
    options = "--drop", "sad", "--reserve", "09", "--version", "mine", "--json"
    done = voxmood(environment, "train", "--data", recordings, *options)
    assert done.returncode == 0, done.stderr
    manifest: dict[str, object] = json.loads(done.stdout)
    assert "training" in done.stderr
    assert "oneDNN" not in done.stderr
    return manifest


def test_train_makes_a_version_and_prints_its_manifest(
    trained: dict[str, object], environment: dict[str, str]
) -> None:
    manifest = verify(Path(environment["VOXMOOD_MODELS_DIR"]), "mine")
    assert manifest.model_dump(mode="json") == trained
    assert manifest.labels == ["angry", "calm"]
    assert manifest.speakers.reserve == ["09"]
    assert manifest.data.licence == "CC BY-NC-SA 4.0"


@pytest.mark.usefixtures("trained")
def test_a_second_training_of_the_same_name_is_refused(recordings: Path, environment: dict[str, str]) -> None:
    done = voxmood(environment, "train", "--data", recordings, "--version", "mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Model version mine exists already" in " ".join(done.stderr.split())


@pytest.mark.usefixtures("trained")
def test_classify_gives_one_json_line_a_clip_in_the_columns_of_the_contract(
    recordings: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = shutil.copytree(recordings / "Actor_09", tmp_path / "clips")
    (folder / "text.wav").write_text("no recording")
    done = voxmood(environment, "classify", folder, recordings / "Actor_01", "--model", "mine", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    files = sorted(folder.iterdir()) + sorted((recordings / "Actor_01").glob("*.wav"))
    assert [row["path"] for row in rows] == [str(file) for file in files]
    assert list(rows[0]) == [
        "path",
        "outcome",
        "emotion",
        "confidence",
        "threshold",
        "model_version",
        "duration_s",
        "error_code",
        "error",
        "quality",
        "p_angry",
        "p_calm",
        "message",
    ]
    outcomes = {Path(row["path"]).name: row["outcome"] for row in rows}
    assert outcomes.pop("text.wav") == "failed"
    assert set(outcomes.values()) <= {"classified", "rejected"}
    assert "7 clips: " in done.stderr
    assert "1 failed" in done.stderr


@pytest.mark.usefixtures("trained")
def test_classify_of_one_file_answers_as_the_seeds_script(
    recordings: Path, environment: dict[str, str]
) -> None:
    file = next(recordings.glob("Actor_01/*-05-*.wav"))
    sure = voxmood(environment, "classify", file, "--model", "mine", "--threshold", "0")
    lines = sure.stdout.split("\n")
    assert lines[0] == str(file)
    assert lines[1].startswith("  Classified as ")
    ranked = [(line.split()[0], float(line.split()[1])) for line in lines[2:4]]
    assert {label for label, _ in ranked} == {"angry", "calm"}
    assert ranked[0][1] >= ranked[1][1]
    doubtful = voxmood(environment, "classify", file, "--model", "mine", "--threshold", "1")
    answer = doubtful.stdout.split("\n")[1]
    assert answer.startswith("  Low confidence (")
    assert answer.endswith(". May be sad.")


def test_what_cannot_be_classified_is_said_with_exit_code_1(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no recording")
    done = voxmood(dict(os.environ), "classify", text)
    assert done.returncode == 1
    assert f"{text} is a text file" in done.stdout
    (tmp_path / "empty").mkdir()
    done = voxmood(dict(os.environ), "classify", tmp_path / "empty")
    assert done.returncode == 1
    assert "holds no files" in " ".join(done.stderr.split())
