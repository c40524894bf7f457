"""What the commands share: results on stdout, progress and sentences on stderr."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

NAME = "voxmood"
NARROW = 100  # columns of a terminal
SHORTEST = 20

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)

Server = Annotated[
    str | None,
    typer.Option("--server", envvar="VOXMOOD_URL", help="Address of the API. Default: the running stack's."),
]


class RateColumn(ProgressColumn):
    """Steps a second, over rich's moving window."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self.unit}/s", style="progress.data.speed")


@contextmanager
def progress(unit: str) -> Iterator[Progress]:
    """A progress bar on stderr with rate and time left; use its add_task, update and advance."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    # Else rich sends what is printed inside the bar, JSON lines too, to stderr.
    with Progress(*columns, console=err, redirect_stdout=False) as bar:
        yield bar


@contextmanager
def stages(unit: str, *names: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each stage of a long work, and the function that moves them: report(stage, done, total)."""
    with progress(unit) as bar:
        tasks = {name: bar.add_task(name, total=None) for name in names}

        def report(stage: str, done: int, total: int) -> None:
            bar.update(tasks[stage], completed=done, total=total)

        yield report


@contextmanager
def transfer_progress() -> Iterator[Progress]:
    """A bar on stderr for bytes sent or fetched, with their speed and the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, redirect_stdout=False) as bar:
        yield bar


def say(sentence: str) -> None:
    """One line for the person, on stderr; commands in it can be typed as they stand."""
    err.print(hinted(sentence), markup=False, soft_wrap=True)


def program() -> str:
    """How this shell calls us: `voxmood`, or, where that is not on PATH, its path."""
    own = Path(sys.argv[0])
    if own.name != NAME:  # as `python -m`, or in a test
        own = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if not own.exists() or (found is not None and Path(found).samefile(own)):
        return NAME
    path = os.path.relpath(own)
    return shlex.quote(str(own.absolute()) if path.startswith(os.pardir) else path)


def hinted(text: str) -> str:
    """The same, with the commands in it (`voxmood up`) as this shell can call them."""
    return re.sub(r"(?<=`)voxmood(?= )", lambda _: program(), text)


def is_narrow() -> bool:
    """Whether tables have to do without what can be had elsewhere."""
    return out.width < NARROW


def unbroken(text: str, indent: int) -> str:
    """Lines for a terminal, behind this many columns; an address that is longer stays in one piece."""
    width = max(out.width - indent, SHORTEST)
    lines = [
        part
        for line in text.splitlines()
        for part in wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
    ]
    return ("\n" + " " * indent).join(lines)


def print_json(value: object) -> None:
    """One JSON value, or document of the API, on one line of stdout."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    sys.stdout.write(json.dumps(plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()
