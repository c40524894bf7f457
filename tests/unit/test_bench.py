"""What `make bench` promises, how it judges, and that the docs show what the last run found."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.report import JSON, MARKDOWN, PICTURE, STAGES, markdown, read, write
from benchmarks.targets import FLOW, TARGETS, rows, short
from shared.core.settings import REPOSITORY

RATIO = next(figure for figure in FLOW if figure.key == "end_to_end_against_floor")
SECONDS = next(figure for figure in FLOW if figure.key == "one_clip_beside_large_s")


@pytest.mark.parametrize(("value", "missed"), [(0.74, "must"), (0.75, "goal"), (0.89, "goal"), (0.9, "")])
def test_more_is_better_where_the_goal_is_higher(value: float, missed: str) -> None:
    assert RATIO.misses(value) == missed


@pytest.mark.parametrize(("value", "missed"), [(10.1, "must"), (10, "goal"), (3.1, "goal"), (3, "")])
def test_less_is_better_where_the_goal_is_lower(value: float, missed: str) -> None:
    assert SECONDS.misses(value) == missed


def test_ci_fails_by_ratios_alone_and_with_some_slack() -> None:
    found = {RATIO.key: 0.51, SECONDS.key: 99.0}
    assert list(short(found, slack=2 / 3)) == []
    assert list(short(found)) == ["end to end against the floor: 0.51, where 0.75 must be"]
    assert list(short({RATIO.key: 0.49}, slack=2 / 3)) == [
        "end to end against the floor: 0.49, where 0.5 must be"
    ]


def test_what_was_not_measured_is_in_no_table() -> None:
    (row,) = rows({RATIO.key: 0.8}, TARGETS)
    assert row == [RATIO.name, "0.8", "0.75", "0.9", "misses goal"]


def test_a_report_is_written_with_its_picture(tmp_path: Path) -> None:
    found = {figure.key: figure.must for figure in TARGETS}
    found |= {"ms_a_clip_seed": 70.0, "floor_1_clips_s": 99.0, "processor_ms_store": 1.25}
    report = {"date": "2000-01-01", "machine": "none", "cores": 2, "champion": "v8", "clips": 4, "rows": 9}
    report |= {"found": found, "stages": dict.fromkeys(STAGES, 0.5)}
    write(report, tmp_path)
    assert json.loads((tmp_path / JSON).read_text())["found"] == found
    text = (tmp_path / MARKDOWN).read_text()
    assert all(f"| {figure.name} |" in text for figure in TARGETS)
    assert text.count("| store | 1.25 |") == text.count("1.25") == 1
    assert (tmp_path / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_the_docs_show_what_the_last_run_found() -> None:
    figures = (REPOSITORY / "docs" / "figures.md").read_text()
    assert [line for line in markdown(read()) if line not in figures] == []


def test_a_run_that_goes_on_takes_what_was_kept_of_the_same_benchmark_and_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command[3:])
        return subprocess.CompletedProcess(command, 0, stdout=f'a word before\n{{"run": {len(ran)}}}\n')

    monkeypatch.setattr(bench, "KEPT", tmp_path)
    monkeypatch.setattr(bench, "REPOSITORY", tmp_path)
    monkeypatch.setattr(bench.subprocess, "run", run)
    assert bench.part("flow", "--clips", "8", champion="v8", goes_on=True) == {"run": 1}
    assert bench.part("flow", "--clips", "8", champion="v8", goes_on=True) == {"run": 1}, "kept"
    assert bench.part("flow", "--clips", "8", champion="v9", goes_on=True) == {"run": 2}, "another champion"
    assert bench.part("flow", "--clips", "9", champion="v8", goes_on=True) == {"run": 3}, "other clips"
    assert bench.part("flow", "--clips", "8", champion="v8", goes_on=False) == {"run": 4}, "measured anew"
    assert ran[0] == ["--json", "--clips", "8"]
