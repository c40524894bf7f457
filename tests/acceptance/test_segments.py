"""Windows and channels as a person asks for them: submit, results --segments in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from tests.acceptance.jobs import Api
from tests.stacks import Stack

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interview with a channel for each speaker, the same again, and a short mono recording."""
    place = tmp_path_factory.mktemp("segments") / "interviews"
    place.mkdir()
    left, right = (speech_like(emotion, RATE, 7.0, seed=1) for emotion in ("angry", "calm"))
    right[: 3 * RATE] = 0  # who listens at first
    interview = wav_bytes(np.stack([left, right], axis=1), RATE)
    (place / "a.wav").write_bytes(interview)
    (place / "b.wav").write_bytes(interview)
    (place / "c.wav").write_bytes(wav_bytes(speech_like("happy", RATE, 1.0, seed=2), RATE))
    (place / "d.txt").write_bytes(b"minutes")
    return place


@pytest.fixture(scope="module")
def job(stack: Stack, folder: Path) -> str:
    options = ["--windows", "sliding", "--win", "2.5", "--hop", "2", "--channels", "separate"]
    done = stack.voxmood("submit", str(folder), *options, "--wait")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_segments_of_all_formats_agree_and_the_clip_s_outcome_is_over_all_of_them(
    stack: Stack, api: Api, job: str, tmp_path: Path
) -> None:
    exported = stack.voxmood("results", job, "--segments", "--format", "csv").stdout
    read = list(csv.DictReader(io.StringIO(exported, newline="")))
    starts = (0.0, 2.0, 4.0, 6.0)
    expected = [
        (path, channel, start_s, min(start_s + 2.5, 7.0))
        for path in ("a.wav", "b.wav")
        for channel in "12"
        for start_s in starts
    ]
    expected.append(("c.wav", "1", 0.0, 1.0))
    places = [(row["path"], row["channel"], float(row["start_s"]), float(row["end_s"])) for row in read]
    assert places == expected
    file = tmp_path / "segments.parquet"
    done = stack.voxmood("results", job, "--segments", "--format", "parquet", "--output", str(file))
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(file).to_pylist()
    assert list(read[0]) == list(rows[0])
    assert [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ] == read
    lines = stack.voxmood("results", job, "--segments", "--format", "jsonl").stdout.splitlines()
    assert [{**json.loads(line), "message": None} for line in lines] == [
        {**row, "message": None} for row in rows
    ]
    silent = [row for row in rows if row["outcome"] == "no_voice"]
    # A version that hears whether there is a voice may hear none in the last second, half of which is breath.
    assert {("2", 0.0)} <= {(row["channel"], row["start_s"]) for row in silent} <= {("2", 0.0), ("2", 6.0)}
    clips = {row["path"]: row for row in api.rows(int(job))}
    assert clips["d.txt"]["outcome"] == "failed"
    for path in ("a.wav", "b.wav"):
        heard = [row["p_angry"] for row in rows if row["path"] == path and row["p_angry"] is not None]
        assert len(heard) == 8 - sum(row["path"] == path for row in silent)
        assert min(heard) < clips[path]["p_angry"] < max(heard)
        assert clips[path]["duration_s"] == 7.0
    document = json.loads(stack.voxmood("status", job, "--json").stdout)
    asked = (document["windows"], document["win_s"], document["hop_s"], document["channels"])
    assert asked == ("sliding", 2.5, 2.0, "separate")


def test_the_table_shows_where_a_segment_lies_and_takes_filters(stack: Stack, job: str) -> None:
    shown = stack.voxmood("results", job, "--segments", "--outcome", "no_voice", "--path", "a.wav")
    assert shown.returncode == 0, shown.stderr
    assert "channel" in shown.stdout
    lines = [line.split()[:5] for line in shown.stdout.splitlines()[1:]]
    assert lines[0] == ["a.wav", "2", "0.0", "2.5", "no_voice"]
    assert {(line[0], line[4]) for line in lines} == {("a.wav", "no_voice")}


def test_what_cannot_be_heard_and_jobs_without_segments_get_a_sentence(stack: Stack, folder: Path) -> None:
    clip = str(folder / "c.wav")
    for options, words in (
        (["--windows", "sliding", "--win", "8"], "8 s are longer than the 6.4 s that model version v8"),
        (["--windows", "sliding", "--win", "1", "--hop", "2"], "A hop of 2 s would leave gaps"),
        (["--win", "2"], "those of sliding windows"),
    ):
        refused = stack.voxmood("submit", clip, *options)
        assert refused.returncode == 1
        assert words in refused.stderr
    wrong = stack.voxmood("submit", clip, "--windows", "often")
    assert wrong.returncode == 2
    plain = stack.voxmood("submit", clip, "--wait").stdout.strip()
    for arguments in ((), ("--format", "csv")):
        none = stack.voxmood("results", plain, "--segments", *arguments)
        assert none.returncode == 1
        assert f"Job {plain} has no segments" in none.stderr
