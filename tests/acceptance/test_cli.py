"""The `voxmood` command as a person uses it: results on stdout, sentences on stderr, exit codes."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from codecs import BOM_UTF8
from pathlib import Path

import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from tests.archive_builders import zip_of
from workbooks import rows_of_workbook

RATE = 16_000


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of three voices and a text."""
    file = tmp_path_factory.mktemp("cli") / "three voices.zip"
    members = {f"{n}.wav": wav_bytes(speech_like("angry", RATE, 1.0, seed=n), RATE) for n in range(3)}
    file.write_bytes(zip_of(members | {"notes.txt": b"words"}))
    return file


@pytest.fixture(scope="module")
def job(stack, archive: Path) -> int:
    """The id that `submit --wait` prints."""
    done = stack.voxmood("submit", str(archive), "--wait", "--name", "from the shell")
    assert done.returncode == 0, done.stderr
    assert "3 failed" not in done.stderr
    assert "4 clips" in done.stderr
    return int(done.stdout)


def test_status_says_what_became_of_a_job(stack, job: int) -> None:
    text = stack.voxmood("status", str(job)).stdout
    assert f"Job {job} is done: 4 clips" in text
    assert "1 failed" in text
    assert "three voices.zip" in text
    document = json.loads(stack.voxmood("status", str(job), "--json").stdout)
    assert (document["name"], document["counts"]["done"]) == ("from the shell", 4)


def test_jobs_lists_it(stack, job: int) -> None:
    assert "from the shell" in stack.voxmood("jobs").stdout
    lines = stack.voxmood("jobs", "--json").stdout.splitlines()
    assert job in [json.loads(line)["id"] for line in lines]


def test_results_as_table_csv_and_jsonl_agree(stack, job: int, tmp_path: Path) -> None:
    table = stack.voxmood("results", str(job))
    assert re.search(r"notes.txt +failed +is a text file", table.stdout)
    rows = [
        json.loads(line)
        for line in stack.voxmood("results", str(job), "--format", "jsonl").stdout.splitlines()
    ]
    assert [row["path"] for row in rows] == ["0.wav", "1.wav", "2.wav", "notes.txt"]
    text = stack.voxmood("results", str(job), "--format", "csv").stdout
    assert [row["path"] for row in csv.DictReader(io.StringIO(text))] == [row["path"] for row in rows]
    file = tmp_path / "out.csv"
    assert stack.voxmood("results", str(job), "--format", "csv", "--output", str(file)).returncode == 0
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_report_is_one_file_with_counts_plots_and_failures(stack, job: int, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    done = stack.voxmood("report", str(job), "--output", str(file))
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert "from the shell" in text
    assert "notes.txt is a text file" in text
    assert "<svg" in text
    assert not re.search(r'(src|href)="http', text)


def test_classify_in_this_process_agrees_with_the_workers(
    stack, job: int, archive: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path)
    done = stack.voxmood("classify", str(tmp_path), "--json")
    alone = {Path(row["path"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    rows = [
        json.loads(line)
        for line in stack.voxmood("results", str(job), "--format", "jsonl").stdout.splitlines()
    ]
    for row in rows:
        assert alone[row["path"]]["outcome"] == row["outcome"]
        if row["confidence"] is not None:
            assert alone[row["path"]]["confidence"] == pytest.approx(row["confidence"], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status", "999999"], 1, "There is no job 999999"),
        (["results", "999999"], 1, "There is no job 999999"),
        (["submit", "missing.zip"], 1, "missing.zip does not exist"),
        (["classify", "missing.wav"], 1, "missing.wav does not exist"),
        (["status", "twelve"], 2, "must be a whole number, not 'twelve'"),
        (["submit"], 2, "PATH"),
        (["nonsense"], 2, "nonsense"),
        (["jobs", "--server", "http://127.0.0.1:9"], 1, "No voxmood answers at http://127.0.0.1:9"),
    ],
)
def test_wrong_use_gets_a_sentence_and_an_exit_code(
    stack, arguments: list[str], code: int, words: str
) -> None:
    done = stack.voxmood(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_models_are_named_with_those_that_exist(stack, archive: Path) -> None:
    for command in (["submit", str(archive), "--model", "v99"], ["classify", str(archive), "--model", "v99"]):
        done = stack.voxmood(*command)
        assert done.returncode == 1
        assert "There is no model version v99. Available: seed-v6, v8, v8-six, v8-small" in done.stderr


def test_models_show_tells_of_a_version_by_name_or_alias(stack) -> None:
    by_alias = json.loads(stack.voxmood("models", "show", "champion", "--json").stdout)
    assert by_alias["version"] == "v8"
    assert "champion" in stack.voxmood("models", "show", "v8").stdout
    missing = stack.voxmood("models", "show", "v99")
    assert missing.returncode == 1
    assert "There is no model version v99. Available: seed-v6, v8, v8-six, v8-small" in missing.stderr


def test_submit_wait_exits_1_unless_the_job_is_done(stack, tmp_path: Path) -> None:
    empty = tmp_path / "empty.zip"
    empty.write_bytes(zip_of({}))
    done = stack.voxmood("submit", str(empty), "--wait")
    assert done.returncode == 1
    assert "empty.zip holds no recordings" in done.stderr


def test_an_archive_that_is_not_read_is_refused_by_name(stack, tmp_path: Path) -> None:
    file = tmp_path / "old.7z"
    file.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(3_000_000))
    done = stack.voxmood("submit", str(file))
    assert done.returncode == 1
    assert "old.7z is a 7z archive, which is not accepted. Send a zip, tar, tar.gz" in done.stderr


def test_without_a_stack_commands_say_how_to_start_one(stack, tmp_path: Path) -> None:
    done = stack.voxmood("jobs", env=stack.env | {"VOXMOOD_STATE": str(tmp_path)})
    assert done.returncode == 1
    assert "No stack runs on" in done.stderr
    assert re.search(r"Start it with `(\S+/)?voxmood up`", done.stderr)


def test_addresses_are_whole_however_narrow_the_terminal(stack) -> None:
    narrow = stack.env | {"COLUMNS": "40"}
    database = f"{stack.state.absolute()}/voxmood.db"
    for command in (["up", "--detach"], ["doctor"]):
        done = stack.voxmood(*command, env=narrow)
        assert done.returncode == 0, done.stderr
        assert database in done.stdout
        assert stack.api_url in done.stdout
        assert "…" not in done.stdout


def test_a_file_s_name_says_its_format_and_a_mark_is_for_excel(stack, job: int, tmp_path: Path) -> None:
    for name in ("out.csv", "out.jsonl", "out.parquet", "out.xlsx", "mark.csv"):
        mark = ["--bom"] if name.startswith("mark") else []
        done = stack.voxmood("results", str(job), "--output", str(tmp_path / name), *mark)
        assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {
        "out.csv", "out.jsonl", "out.parquet", "out.xlsx", "mark.csv"
    }  # fmt: skip
    plain = (tmp_path / "out.csv").read_bytes()
    assert plain.startswith(b"path,")
    assert (tmp_path / "mark.csv").read_bytes() == BOM_UTF8 + plain
    assert (tmp_path / "out.parquet").read_bytes().startswith(b"PAR1")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    book = rows_of_workbook(tmp_path / "out.xlsx")
    assert list(book[0]) == plain.decode().splitlines()[0].split(",")
    for row, found in zip(rows, book, strict=True):
        assert {name: row[name] for name in found if isinstance(row[name], str)} == {
            name: value for name, value in found.items() if isinstance(value, str)
        }
        assert found["confidence"] == (
            None if row["confidence"] is None else pytest.approx(row["confidence"], abs=1e-15)
        )
