"""How the command line speaks: flags as flags, wrong values in plain words, commands that can be typed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from tests.stacks import VOXMOOD
from voxmood.cli import console
from voxmood.cli.main import app
from voxmood.wording import fault_in_words

VALIDATOR = re.compile(r"Input should|Value error|unable to parse|valid (integer|number)|<bool>|Traceback")
NARROW = {"COLUMNS": "80", "NO_COLOR": "1"}


def paths(group: Any, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command, as one types it."""
    found = [before]
    for name, command in getattr(group, "commands", {}).items():
        found += paths(command, (*before, name)) if isinstance(command, TyperGroup) else [(*before, name)]
    return found


@pytest.mark.parametrize("command", paths(get_command(app)), ids=" ".join)
def test_help_shows_flags_as_flags(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*command, "--help"], env=NARROW)
    assert done.exit_code == 0
    assert "--help" in done.output
    assert not VALIDATOR.search(done.output)
    assert max(map(len, done.output.splitlines())) <= 80


def test_version_is_said() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, "voxmood 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "twelve"], "'JOB': must be a whole number, not 'twelve'."),
        (["status", "0"], "'JOB': must be 1 or more, not 0."),
        (["jobs", "--limit", "1.5"], "'--limit': must be a whole number, not 1.5."),
        (["submit", "a.wav", "--threshold", "7"], "'--threshold': must be 1 or less, not 7."),
        (["submit", "a.wav", "--hop", "wide"], "'--hop': must be a number, not 'wide'."),
        (["submit", "a.wav", "--windows", "x"], "'--windows': 'x' is not one of 'clip', 'sliding'."),
        (["dataset", "download", "x", "y"], "'x' is not"),
        (["results", "1", "--output", "a.doc"], "the name a.doc says no format (.csv, .jsonl,"),
        (["results", "1", "--output", "a"], "the name a says no format"),
        (["results", "1", "--output", "a.CSV", "--format", "xlsx"], "a.CSV says csv, and --format says xlsx"),
        (["results", "1", "--output", "a.csv", "--format", "table"], "a table is for the terminal"),
        (["results", "1", "--format", "xlsx"], "a workbook is no text for stdout"),
        (
            ["results", "1", "--output", "a.jsonl", "--bom"],
            "a mark of CSV, and these rows are",
        ),
    ],
)
def test_wrong_values_are_told_in_plain_words(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert done.exit_code == 2
    assert words in done.output
    assert not VALIDATOR.search(done.output)


@pytest.mark.parametrize("command", [["results", "1"], ["report", "1"], ["demo"]])
def test_a_missing_folder_is_said_before_anything_is_asked_or_made(command: list[str]) -> None:
    ending = {"results": "csv", "report": "html", "demo": "zip"}[command[0]]
    unheard = {"VOXMOOD_URL": "http://127.0.0.1:9", **os.environ}
    arguments = [VOXMOOD, *command, "--output", f"/nowhere/out.{ending}"]
    done = subprocess.run(arguments, env=unheard, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"voxmood: There is no folder /nowhere to write out.{ending} into. Make it first, or name another.\n"
    )


def test_every_kind_of_fault_has_words() -> None:
    class Asked(BaseModel, extra="forbid"):
        whole: int = Field(0, gt=0, lt=10)
        text: str = Field("aa", min_length=2, max_length=3)
        several: list[int] = Field([1], min_length=1, max_length=2)
        share: float = Field(0, allow_inf_nan=False)
        sure: bool = True

    wrong = {
        "whole": (["x", 0, 10, 1.5], "a whole number, not 'x'|than 0, not 0|than 10, not 10|not 1.5"),
        "text": ([1, "a", "four", None], "must be a text|least 2 characters|most 3 characters|be a text"),
        "several": ([[], [1, 2, 3], "x"], "at least 1 entry|at most 2 entries|must be a list"),
        "share": (["x", float("inf")], "must be a number|must be a finite number"),
        "sure": (["perhaps"], "must be true or false, not 'perhaps'"),
        "thresold": ([1], "is no field of this request"),
    }  # fmt: skip
    for name, (values, words) in wrong.items():
        for value, expected in zip(values, words.split("|"), strict=True):
            with pytest.raises(ValidationError) as raised:
                Asked.model_validate({name: value})
            [fault] = raised.value.errors()
            assert expected in fault_in_words(fault), (name, value)


def test_hints_are_commands_that_this_shell_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / ".venv" / "bin" / "voxmood"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(own), "jobs"])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    hint = "No voxmood answers. Start it with `voxmood up`, or see `voxmood doctor --json`."
    assert console.hinted(hint) == hint.replace("`voxmood", "`.venv/bin/voxmood")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert console.program() == str(own)
    monkeypatch.setenv("PATH", str(own.parent))
    assert console.hinted(hint) == hint
    other = tmp_path / "other" / "voxmood"
    other.parent.mkdir()
    other.symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(other.parent))  # another one than this
    assert console.program() == str(own)


def test_train_says_which_network_it_takes_and_why(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", "--data", str(tmp_path)])
    assert "Training the network seed, the default: the published baseline" in done.output
    named = CliRunner().invoke(app, ["train", "--data", str(tmp_path), "--network", "seed"])
    assert "the default" not in named.output
