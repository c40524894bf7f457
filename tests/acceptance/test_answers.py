"""Every question one asks of a job: filters, and formats that agree row for row, on a stack that runs."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from tests.acceptance.jobs import Api, problem_of
from tests.archive_builders import encrypted_zip, tar_of

RATE = 16_000
VOICES = [wav_bytes(speech_like(emotion, RATE, 1.5, seed=3), RATE) for emotion in ("happy", "angry")]
PATHS = ["=1+1", "+a.wav", "-b.wav", "@c.wav", 'say "so".wav', "a, b; c.wav", "two\nlines.wav", "it's.wav",
         "\ttab.wav", "😀/смех.wav", "😀/שלום\u202e.wav", "plain/1.wav"]  # fmt: skip


@pytest.fixture(scope="module")
def job(api: Api) -> int:
    """A finished job of odd paths: voices and their copies, a text, a member that is encrypted."""
    members = {path: VOICES[n % 2] for n, path in enumerate(PATHS)} | {"plain/notes.txt": b"words"}
    locked = encrypted_zip({"plain/secret.wav": VOICES[0]}, "plain/secret.wav")
    return int(api.run({"=odd.tar": tar_of(members), "locked.zip": locked}, threshold=0.0)["id"])


def export(api: Api, job: int, format: str, **filters: Any) -> bytes:
    answer = api.http.get(f"/v1/jobs/{job}/export", params={"format": format, **filters})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="voxmood-job-{job}.{format}"'
    return answer.content


def test_pages_csv_jsonl_parquet_and_the_view_agree_row_for_row(api: Api, job: int, stack) -> None:
    rows = api.rows(job, limit=5)
    assert [row["path"] for row in rows] == [*PATHS, "plain/notes.txt", "plain/secret.wav"]
    assert [json.loads(line) for line in export(api, job, "jsonl").decode().splitlines()] == rows
    whole = [{name: value for name, value in row.items() if name != "message"} for row in rows]
    assert pq.read_table(io.BytesIO(export(api, job, "parquet"))).to_pylist() == whole
    read = csv.DictReader(io.StringIO(export(api, job, "csv").decode(), newline=""))
    for got, row in zip(read, whole, strict=True):
        for name, value in row.items():
            formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t"))
            assert got[name] == ("'" if formula else "") + ("" if value is None else str(value))
    seen = {}
    for row in stack.query("SELECT * FROM results WHERE job = :job", job=job):
        view = row._mapping
        probabilities = view["probabilities"] or {}
        if isinstance(probabilities, str):  # SQLite has no type of its own for JSON
            probabilities = json.loads(probabilities)
        seen[view["clip_id"]] = {
            name: probabilities.get(name[2:]) if name.startswith("p_") else view[name] for name in whole[0]
        }
        assert view["job_model_version"] == view["model_version"]
    assert seen == {row["clip_id"]: row for row in whole}


def test_filters_are_joined_and_hold_for_pages_and_exports(api: Api, job: int) -> None:
    rows = api.rows(job)
    classified = [row for row in rows if row["outcome"] == "classified"]
    assert len(classified) == len(PATHS)
    emotion, between = classified[0]["emotion"], sorted(row["confidence"] for row in classified)[0]
    cases: list[tuple[dict[str, Any], list[Any]]] = [
        ({"outcome": "failed"}, rows[-2:]),
        ({"outcome": ["failed", "classified"]}, rows),
        ({"outcome": "rejected"}, []),
        ({"emotion": emotion}, [row for row in rows if row["emotion"] == emotion]),
        ({"emotion": emotion, "outcome": "failed"}, []),
        ({"confidence": f":{between}"}, [row for row in classified if row["confidence"] <= between]),
        ({"confidence": "0:1"}, classified),
        ({"path_prefix": "😀/"}, rows[9:11]),
        ({"path_prefix": "plain/", "outcome": "failed"}, rows[-2:]),
        ({"path_prefix": "="}, rows[:1]),
    ]
    for filters, expected in cases:
        page = api.http.get(f"/v1/jobs/{job}/results", params=filters).json()
        assert page["results"] == expected, filters
        lines = export(api, job, "jsonl", **filters).decode().splitlines()
        assert [json.loads(line) for line in lines] == expected
    params: dict[str, Any] = {"outcome": "classified", "limit": 7}
    first = api.http.get(f"/v1/jobs/{job}/results", params=params).json()
    second = api.http.get(f"/v1/jobs/{job}/results", params=params | {"cursor": first["next"]}).json()
    assert first["results"] + second["results"] == classified
    assert second["next"] is None


WRONG = [
    ({"outcome": "lost"}, "lost is no outcome. Available: classified, rejected, no_voice, failed."),
    (
        {"emotion": "bored"},
        "bored is no emotion of v8. Available: "
        "angry, calm, disgust, fearful, happy, neutral, sad, surprised.",
    ),
    ({"confidence": "0.8"}, "0.8 is no range of confidence. Give LO:HI from 0 to 1"),
    ({"confidence": "0.9:0.8"}, "0.9:0.8 is no range"),
    ({"confidence": "nan:"}, "nan: is no range"),
    ({"confidence": ":2"}, ":2 is no range"),
    ({"confidence": "low:high"}, "low:high is no range"),
]


@pytest.mark.parametrize(("filters", "words"), WRONG)
def test_a_wrong_filter_is_named_with_what_is_allowed(
    api: Api, job: int, filters: dict[str, str], words: str
) -> None:
    for route in ("results", "export"):
        status, code, detail = problem_of(api.http.get(f"/v1/jobs/{job}/{route}", params=filters))
        assert (status, code) == (422, "wrong_filter")
        assert words in detail


def test_prefixes_that_no_path_can_have_and_cursors_out_of_range_are_refused(api: Api, job: int) -> None:
    for params in ({"path_prefix": "a\0"}, {"path_prefix": "x" * 4001}):
        assert problem_of(api.http.get(f"/v1/jobs/{job}/results", params=params))[0] == 422
    for cursor in ("OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTox", "LTE6MA=="):  # 99999999999999999999:1 and -1:0
        answer = api.http.get(f"/v1/jobs/{job}/results", params={"cursor": cursor})
        assert problem_of(answer)[:2] == (400, "wrong_cursor")


def test_the_command_filters_and_writes_parquet(api: Api, job: int, stack, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    wanted = ["--outcome", "failed", "--path", "plain/n"]
    done = stack.voxmood("results", str(job), *wanted, "--format", "parquet", "--output", str(file))
    assert done.returncode == 0, done.stderr
    assert pq.read_table(file)["path"].to_pylist() == ["plain/notes.txt"]
    shown = stack.voxmood("results", str(job), "--outcome", "failed", "--outcome", "no_voice")
    assert "plain/secret.wav" in shown.stdout
    assert "😀" not in shown.stdout
    shown = stack.voxmood("results", str(job), "--confidence", "0:", "--limit", "3")
    assert "3 rows shown; --limit 0 shows all" in shown.stderr


def test_the_command_refuses_wrong_filters_and_parquet_on_a_terminal(job: int, stack) -> None:
    for arguments, words in (
        (["--emotion", "bored"], "bored is no emotion of v8. Available: angry"),
        (["--confidence", "0.8"], "0.8 is no range of confidence"),
        (["--outcome", "lost"], "classified"),
    ):
        done = stack.voxmood("results", str(job), *arguments)
        assert done.returncode == 2
        assert words in done.stderr
    terminal, ours = pty.openpty()
    options = {"capture_output": False, "stdout": ours, "stderr": subprocess.PIPE}
    done = stack.voxmood("results", str(job), "--format", "parquet", **options)
    os.close(ours)
    os.close(terminal)
    assert done.returncode == 2
    assert "Parquet is no text for a terminal; name a file with --output." in done.stderr
