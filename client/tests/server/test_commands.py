"""The command `voxmood` where only the client is installed."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from voxmood.client import Client
from voxmood.documents import JobDocument
from voxmood.environment import version
from workbooks import rows_of_workbook

VOXMOOD = Path(sys.executable).with_name("voxmood")
# What has only the server, or what only its extras bring.
HEAVY = ("api", "shared", "workers", "tensorflow", "numba", "sqlalchemy", "boto3", "celery", "streamlit")


def voxmood(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run([VOXMOOD, *arguments], capture_output=True, text=True, env=env, check=False)


def test_nothing_of_the_server_is_installed_here() -> None:
    assert [name for name in HEAVY if importlib.util.find_spec(name) is not None] == []


def test_help_lists_the_commands_that_talk_to_a_server() -> None:
    said = voxmood("--help").stdout
    for command in ("submit", "jobs", "status", "results", "report", "retrain", "label", "models"):
        assert f"│ {command} " in said
    assert "│ up " not in said
    assert voxmood("--version").stdout == f"voxmood {version()}\n"


@pytest.mark.parametrize("command", ["up", "doctor", "train", "keys"])
def test_a_command_of_the_server_is_said_to_be_one(command: str) -> None:
    done = voxmood(command)
    assert done.returncode == 2
    assert f"'{command}' is a command of the server, and only its client is installed here" in done.stderr


def test_a_job_from_its_submit_to_its_removal(archive: Path, tmp_path: Path) -> None:
    done = voxmood("submit", str(archive), "--wait", "--json", VOXMOOD_STATE=str(tmp_path / "state"))
    assert done.returncode == 0, done.stderr
    job = JobDocument.model_validate_json(done.stdout)
    assert (job.state, job.counts.done) == ("done", 4)
    number = str(job.id)
    assert json.loads(voxmood("status", number, "--json").stdout)["id"] == job.id
    assert f"Job {number} is done: 4 clips" in voxmood("status", number).stdout
    assert number in voxmood("jobs", "--limit", "3").stdout
    table = voxmood("results", number).stdout
    assert "side a/take 0.wav" in table
    assert "is not readable audio" in table or "side b/notes.txt" in table
    assert voxmood("delete", number, "--yes").returncode == 0
    assert (
        "There is no job" in voxmood("status", number).stderr
        or "deleting" in voxmood("status", number).stdout
    )


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_results_are_written_to_files_of_every_kind(done: JobDocument, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"rows.{ending}"
    assert voxmood("results", str(done.id), "--output", str(file)).returncode == 0
    assert file.stat().st_size > 500
    if ending == "xlsx":
        with Client() as client:
            assert [row["path"] for row in rows_of_workbook(file)] == [
                row.path for row in client.results(done.id)
            ]


def test_a_report_is_one_file(done: JobDocument, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    assert voxmood("report", str(done.id), "--output", str(file)).returncode == 0
    assert "<svg" in file.read_text()


def test_labels_of_a_file_are_stored_and_removed(done: JobDocument, tmp_path: Path) -> None:
    with Client() as client:
        row = next(row for row in client.results(done.id) if row.confidence is not None)
        emotion = client.model("champion").labels[0]
    file = tmp_path / "labels.csv"
    file.write_text(f"path,label,labeller\n{row.path},{emotion},ben\n{row.path},bored,ben\n")
    stored = voxmood("label", "import", str(done.id), str(file), "--json")
    assert (stored.returncode, json.loads(stored.stdout)["stored"]) == (1, 1)
    assert json.loads(voxmood("label", "list", str(done.id), "--json").stdout)["emotion"] == emotion
    gone = voxmood("label", "delete", str(done.id), "--yes", "--labeller", "ben", "--json")
    assert json.loads(gone.stdout) == {"deleted": 1}


def test_models_are_listed_and_shown() -> None:
    assert "champion" in voxmood("models", "list").stdout
    shown = json.loads(voxmood("models", "show", "champion", "--json").stdout)
    assert "champion" in shown["aliases"]
    assert "clips labelled since the last one" in voxmood("retrain").stdout


def test_clips_are_reviewed_in_a_file_that_is_imported_again(done: JobDocument, tmp_path: Path) -> None:
    listed = voxmood("review", str(done.id))
    assert "best guess" in listed.stdout
    file = tmp_path / "review.csv"
    assert f"voxmood label import {done.id}" in " ".join(
        voxmood("review", str(done.id), "--output", str(file)).stderr.split()
    )
    with file.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.DictReader(text))
    queue = [json.loads(line) for line in voxmood("review", str(done.id), "--json").stdout.splitlines()]
    assert [row["clip_id"] for row in rows] == [str(one["clip_id"]) for one in queue]
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(row | {"label": row["best_guess"], "labeller": "ann"} for row in rows)
    stored = voxmood("label", "import", str(done.id), str(file), "--json")
    try:
        assert json.loads(stored.stdout) == {"stored": len(rows), "without_label": 0, "refused": []}
        assert "Nothing is left to review" in voxmood("review", str(done.id)).stderr
        said = " ".join(voxmood("status", str(done.id)).stdout.split())
        assert f"Of {len(rows)} clips reviewed at random, right of all best guesses: 100%" in said
    finally:
        voxmood("label", "delete", str(done.id), "--yes", "--labeller", "ann")


def test_the_champion_is_moved_by_commands_that_say_what_undoes_them() -> None:
    other = json.loads(voxmood("models", "list", "--json").stdout.splitlines()[0])["version"]
    before = json.loads(voxmood("models", "show", "champion", "--json").stdout)["version"]
    said = voxmood("models", "promote", other)
    try:
        assert said.stderr.strip() == f"The champion is {other}. `voxmood models rollback` undoes that."
        assert f"{before} → {other}." in " ".join(voxmood("models", "list").stderr.split())
    finally:
        said = voxmood("models", "rollback")
    assert said.stderr.startswith(f"The champion is {before} again, and frozen.")
    assert "The champion is frozen since" in voxmood("models", "list").stderr
    refused = voxmood("models", "promote", other)
    assert (refused.returncode, refused.stderr.startswith("voxmood: The champion is frozen")) == (1, True)
    assert voxmood("models", "freeze").stderr.startswith(f"The champion stays {before}.")
    assert json.loads(voxmood("models", "freeze", "--off", "--json").stdout)["frozen_at"] is None


def test_no_server_is_a_sentence() -> None:
    done = voxmood("jobs", VOXMOOD_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("voxmood: No voxmood answers at http://127.0.0.1:9")
