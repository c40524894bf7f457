"""`voxmood review`: the clips of a job that are most worth a label."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from voxmood.cells import guarded
from voxmood.cli.console import Server, is_narrow, out, print_json, say
from voxmood.documents import ReviewClip
from voxmood.files import check_folder, written
from voxmood.words import accuracy_sentence

COLUMNS = ("path", "label", "speaker", "labeller", "reason", "best_guess", "confidence", "upload", "clip_id")


def review(
    job: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many clips.")] = 50,
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="CSV file to fill in; `voxmood label import` takes it."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model version. Default: the job's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON line a clip.")] = False,
    server: Server = None,
) -> None:
    """List the clips of an ended job that are most worth a label.

    Some are drawn at random: label those whatever they are, and `voxmood status` says how often the job's
    answers are right. The others are those that windows or versions disagree on, and those next to the
    threshold.
    """
    from voxmood.client import Client

    if output is not None:
        check_folder(output)
    with Client(server) as client:
        queue = client.review(job, limit, model)
    if json:
        for clip in queue.clips:
            print_json(clip)
        return
    if not queue.clips:
        say("Nothing is left to review: each clip with an answer has a label.")
    elif output is None:
        out.print(_table(queue.clips))
        say(f"`voxmood review {job} --output labels.csv` writes them to a file; fill in its column label.")
    else:
        with written(output) as partial:
            _write(queue.clips, partial)
        say(f"{output}: fill in its column label, then `voxmood label import {job} {output}`.")
    if queue.accuracy is not None:
        say(accuracy_sentence(queue.accuracy))


def _table(clips: Sequence[ReviewClip]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("path", overflow="fold")
    for column in ("why", "best guess"):
        table.add_column(column, no_wrap=True)
    table.add_column("confidence" if not is_narrow() else "conf.", justify="right", no_wrap=True)
    for clip in clips:
        why = clip.reason.replace("_", " ")
        table.add_row(Text(clip.path), why, clip.best_guess, f"{clip.confidence:.2f}")
    return table


def _write(clips: Sequence[ReviewClip], file: Path) -> None:
    with file.open("w", encoding="utf-8-sig", newline="") as text:
        rows = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
        rows.writeheader()
        for clip in clips:
            values = clip.model_dump(mode="json") | {"confidence": f"{clip.confidence:.3f}"}
            rows.writerow(values | {name: guarded(values[name]) for name in ("path", "upload")})
