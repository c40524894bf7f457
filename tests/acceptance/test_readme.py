"""The README, typed from top to bottom by somebody new: in a folder, a home and on ports of their own.

What they have besides are recordings, and what `make setup` installs (it is not installed anew).
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import zstandard

from shared.audio.synthesis import speech_like, unique_clip, wav_bytes
from shared.core.settings import REPOSITORY
from shared.stack.state import StateFolder
from tests.readme import Block, WrongReadme, blocks, terminal
from tests.stacks import Stack, prefer_unusual_ports, processes_of

README = REPOSITORY / "README.md"
# What the README says of a command's output, or shows of it, by how the command begins.
SAYS = {
    "make run  ": r"people/angry\.flac +classified +angry[^$]*Job 1 is done: 24 clips \(4 classified",
    "make run ARCHIVE=": r"Job 2 is done: 24 clips \(4 classified",
    "voxmood up ": r"API +http://127\.0\.0\.1:\d+",
    "voxmood results $JOB  ": r"path +outcome +emotion +confidence",
    "voxmood results $JOB --outcome rejected": r"radio/1998/take",
    "voxmood status": r"done",
    "voxmood jobs": r"^ *3 .*Tapes",
    "voxmood doctor": r"Problems: 0",
    "voxmood results $JOB --segments": r"channel +start_s +end_s",
    "curl $API/v1/jobs/$JOB": r'"counts"',
    'curl "$API/v1/jobs/$JOB/results': r'"results"',
    "curl $API/health/ready": r'"ready":true',
    "python - ": r"people/angry\.flac angry 0\.\d+",
    "voxmood keys create": r"^vm_\w+$",
    "voxmood keys list": r"laptop",
    "voxmood label list": r"people/angry.* angry ",
    "voxmood models list": r"v8 +champion",
    "voxmood retrain": r"1 clips? .*200",
    "python3 -c 'import sqlite3": r"^angry\|1$",
    "sqlite3 ": r"^angry\|1$",
    "voxmood down": r"Jobs and results are kept",
}
# A small job may have ended before a person says `cancel`.
MAY_FAIL = {"voxmood cancel": "only a job that is open or running can be cancelled"}


@dataclass(frozen=True)
class Newcomer:
    """Where they have unpacked the project, and what their terminal knows."""

    folder: Path
    state: Path
    environment: dict[str, str]


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """With a copy of the project, recordings, and nothing that runs; what then runs is ended."""
    for program in ("bash", "curl", "git", "make"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on PATH")
    folder, home = tmp_path / "voxmood", tmp_path / "home"
    home.mkdir()
    (home / ".curlrc").write_text("fail-with-body\n")  # an answer of 4xx or 5xx fails the test
    _copy(folder)
    _recordings(folder)
    own = Path(sys.prefix) / "bin"  # `voxmood` is not on their PATH until they activate
    path = [place for place in os.environ["PATH"].split(os.pathsep) if Path(place) != own]
    theirs = {"HOME": str(home), "COLUMNS": "80", "PATH": os.pathsep.join(path)}
    lacks = {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}
    environment = {
        name: value
        for name, value in (os.environ | theirs).items()
        if not name.startswith(("VOXMOOD_", "XDG_")) and name not in lacks
    }
    state = home / ".local" / "state" / "voxmood"
    prefer_unusual_ports(state)
    yield Newcomer(folder, state, environment)
    if StateFolder(state).held():
        Stack(state, environment | {"VOXMOOD_STATE": str(state)}).down()


def _copy(folder: Path) -> None:
    """What git would give them, as it is now, with a .venv that `make` takes for set up."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    venv = folder / ".venv"
    venv.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".ready":
            (venv / part.name).symlink_to(part)
    (venv / ".ready").touch()


def _recordings(folder: Path) -> None:
    """Those that the README's commands name."""
    (folder / "one.wav").write_bytes(unique_clip(1))
    (folder / "Tapes of 1987" / "side A").mkdir(parents=True)
    (folder / "Tapes of 1987" / "side A" / "1.wav").write_bytes(unique_clip(2))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder / "Tapes of 1987" / "side A" / "1.wav", "spring/1.wav")
    (folder / "more.tar.zst").write_bytes(zstandard.compress(packed.getvalue()))
    talk = [speech_like(duration_s=8, seed=seed) for seed in range(2)]
    (folder / "talk.wav").write_bytes(wav_bytes(np.stack(talk, axis=1), 16000))


@pytest.mark.timeout(400)
def test_a_newcomer_types_all_of_it_and_sees_what_it_says(newcomer: Newcomer, tmp_path: Path) -> None:
    said_something: set[str] = set()
    with terminal(newcomer.folder, tmp_path, newcomer.environment) as bash:
        for block in blocks(README.read_text()):
            if block.language == "sql":
                _ask(block, newcomer.state)
            if not block.is_run or block.not_run or (block.needs and not shutil.which(block.needs)):
                continue
            for command in block.commands():
                # Their 8000 is free, or they read another number off the screen; so is this done here.
                typed = command.replace("localhost:8000", f"localhost:{_port(newcomer)}")
                status, output = bash.run(typed)
                shown = f"README.md, line {block.line}: {command}\n{output}"
                if status:
                    assert MAY_FAIL.get(" ".join(command.split()[:2]), "nothing") in " ".join(
                        output.split()
                    ), f"exit status {status}\n{shown}"
                for begins in (begins for begins in SAYS if command.startswith(begins)):
                    said_something.add(begins)
                    assert re.search(SAYS[begins], output, re.MULTILINE), f"{SAYS[begins]} is not in\n{shown}"
    missing = {begins for begins in SAYS if begins not in said_something}
    assert missing <= ({"sqlite3 "} if shutil.which("sqlite3") is None else set()), (
        "the README lacks these now"
    )
    assert processes_of(newcomer.state) == [], "these processes outlived `voxmood down`"
    _look_at_files(newcomer.folder)


def _port(newcomer: Newcomer) -> int:
    record = StateFolder(newcomer.state).record()
    assert record is not None
    return record.ports["api"]


def _ask(block: Block, state: Path) -> None:
    """Each question has an answer about the demonstration, which is job 1."""
    with closing(sqlite3.connect(f"file:{state / 'voxmood.db'}?mode=ro", uri=True)) as database:
        questions = [question for question in block.text.split(";") if question.strip()]
        assert len(questions) >= 3
        for question in questions:
            assert database.execute(question).fetchall(), question


def _look_at_files(folder: Path) -> None:
    """Those that the commands have written are what the README says."""
    described = re.search(r"\n`(path, outcome, [a-z_, ]+)`,\nthen `p_<emotion>`", README.read_text())
    assert described is not None
    with (folder / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    columns = described[1].split(", ")
    assert header[: len(columns)] == columns
    assert header[len(columns)].startswith("p_")
    assert len(rows) == 27
    assert pyarrow.parquet.read_table(folder / "results.parquet").num_rows <= 24
    assert (folder / "clip").stat().st_size > 1000
    assert [file.read_text().count("</html>") for file in folder.glob("voxmood-job-*.html")] == [1]


def test_its_links_lead_somewhere() -> None:
    text = README.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
    targets = {target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target}
    assert len(targets) > 10
    assert {target for target in targets if target.startswith("#")} <= anchors
    assert [t for t in targets if not t.startswith("#") and not (REPOSITORY / t).exists()] == []


def test_a_block_that_is_not_run_says_why_in_words_that_are_known() -> None:
    why = blocks("<!-- not run by the test: needs Docker -->\n```\ndocker compose up\n```\n")
    assert [(block.not_run, block.needs) for block in why] == [("needs Docker", "")]
    wanted = blocks("text\n<!-- needs: jq -->\n```sh\njq .\n```\n")
    assert [(block.line, block.not_run, block.needs) for block in wanted] == [(4, "", "jq")]


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not run by the test: -->\n```\nls\n```\n",
        "<!-- not run by the test -->\n```\nls\n```\n",
        "<!-- skipped: slow -->\n```\nls\n```\n",
        "<!-- not run by the test: slow -->\n\n```\nls\n```\n",
        "```perl\nprint 1\n```\n",
        "```\nls\n",
    ],
)
def test_other_markers_and_blocks_are_refused(text: str) -> None:
    with pytest.raises(WrongReadme):
        blocks(text)


def test_commands_of_several_lines_are_entered_whole_and_their_failures_are_seen(tmp_path: Path) -> None:
    [block] = blocks("```\nX=$(printf '%s' \\\n  one)  # it's one\nY='a\nb'\n\necho \"$X $Y\"; false\n```\n")
    with terminal(tmp_path, tmp_path, os.environ) as bash:
        assert [bash.run(command) for command in block.commands()] == [
            (0, "\n"), (0, "\n"), (1, "one a\nb\n\n"),
        ]  # fmt: skip
        assert bash.run("sleep 60", limit_s=0.2)[0] == -1
