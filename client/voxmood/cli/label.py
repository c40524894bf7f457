"""`voxmood label`: what people say of a job's clips, for the next retraining."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter
from rich.table import Table
from rich.text import Text

from voxmood.cells import unguarded
from voxmood.cli.commands import App
from voxmood.cli.console import Server, is_narrow, out, print_json, progress, say
from voxmood.cli.label_file import Line, RefusedLine, clips_meant, faults, read_lines
from voxmood.documents import Label, Refusal, ResultRow
from voxmood.errors import NoLabelInFile, RequestRefused, WrongLabelLines
from voxmood.words import agreement_sentence

if TYPE_CHECKING:
    from voxmood.client import Client

BATCH_LABELS = 1000
REFUSALS = TypeAdapter(list[Refusal])
Job = Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")]

app = App(help="What people say of clips, for the next retraining.")


@app.callback()
def label() -> None:
    """What people say of clips, for the next retraining."""


@app.command(name="import")
def import_labels(
    job: Job,
    file: Annotated[Path, typer.Argument(metavar="LABELS.CSV", help="Columns: path, label; see above.")],
    json: Annotated[bool, typer.Option("--json", help="Print what became of them as JSON.")] = False,
    server: Server = None,
) -> None:
    """Store the labels of a CSV file: path, label, and as one likes upload, speaker, labeller, clip_id.

    An export of `voxmood results` will do, with a column `label` added to it; its `emotion` is the model's
    guess and no label. Lines with an empty label are left out. Wrong lines are named, one sentence for each
    kind of fault, the others stored; the exit code is then 1.
    """
    from voxmood.client import Client

    every = list(read_lines(file))
    lines = [line for line in every if line.emotion]
    if not lines:
        raise NoLabelInFile(file=file)
    with Client(server) as client, progress("labels") as bar:
        task = bar.add_task("Finding the clips", total=None)
        rows = _rows(client, job, {path for line in lines for path in (line.path, unguarded(line.path))})
        meant, refused = clips_meant(lines, rows, job)
        bar.update(task, description="Storing", total=len(meant))
        for start in range(0, len(meant), BATCH_LABELS):
            batch = meant[start : start + BATCH_LABELS]
            refused += _store(client, batch)
            bar.advance(task, len(batch))
    stored, without = len(lines) - len(refused), len(every) - len(lines)
    if json:
        wrong = [{"code": one.code, "lines": one.lines, "reason": one.reason} for one in faults(refused)]
        print_json({"stored": stored, "without_label": without, "refused": wrong})
    else:
        for one in faults(refused):
            say(str(WrongLabelLines(file=file, place=one.place, reason=one.reason)))
        more = f", {len(refused):,} refused" if refused else ""
        more += f", {without:,} lines without a label left out" if without else ""
        say(f"{stored:,} labels stored{more}.")
    if refused:
        raise typer.Exit(1)


def _rows(client: Client, job: int, paths: set[str]) -> dict[str, list[ResultRow]]:
    """The result rows of these paths."""
    rows = defaultdict(list)
    for row in client.results(job):
        if row.path in paths:
            rows[row.path].append(row)
    return rows


def _store(client: Client, batch: Sequence[tuple[Line, int]]) -> list[RefusedLine]:
    """Send one list; what the server refuses of it."""
    labels = [
        Label(clip_id=clip_id, emotion=line.emotion, speaker=line.speaker or None, labeller=line.labeller)
        for line, clip_id in batch
    ]
    try:
        refused = client.store_labels(labels).refused
    except RequestRefused as error:
        if "refused" not in error.facts:
            raise
        refused = REFUSALS.validate_python(error.facts["refused"])
    found = []
    for one in refused:
        line = batch[one.place][0]
        about = repr(line.emotion) if one.code == "unknown_emotion" else line.path
        found.append(RefusedLine(line.number, one.code, about, one.reason))
    return found


@app.command(name="list")
def list_labels(
    job: Job,
    labeller: Annotated[str | None, typer.Option(metavar="NAME", help="Only what this one said.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON line a label.")] = False,
    server: Server = None,
) -> None:
    """List the labels of a job's clips."""
    from voxmood.client import Client

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("path", "label", "speaker", "labeller", "upload", "stored"):
        table.add_column(column, overflow="fold", no_wrap=column in ("label", "stored"))
    moment = "%Y-%m-%d" if is_narrow() else "%Y-%m-%d %H:%M"
    with Client(server) as client:
        for one in client.labels(job=job, labeller=labeller):
            if json:
                print_json(one)
                continue
            stored = one.created_at.astimezone()
            cells = (one.path, one.emotion, one.speaker or "", one.labeller, one.upload)
            table.add_row(*map(Text, cells), f"{stored:{moment}}")
        agreed = None if json else client.agreement(job=job)
    if table.row_count:
        out.print(table)
        if agreed is not None and agreed.clips:
            say(agreement_sentence(agreed))
    elif not json:
        say(f"Job {job} has no labels yet. `voxmood label import {job} labels.csv` stores some.")


@app.command(name="delete")
def delete_labels(
    job: Job,
    path: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Only this clip's; may be given again.")
    ] = None,
    labeller: Annotated[str | None, typer.Option(metavar="NAME", help="Only what this one said.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print how many went, as JSON.")] = False,
    server: Server = None,
) -> None:
    """Remove labels of a job's clips, all of them unless --path or --labeller say which."""
    from voxmood.client import Client

    if not yes:
        which = f" of {', '.join(path)}" if path else ""
        which += f" by {labeller or 'nobody named'}" if labeller is not None else ""
        typer.confirm(f"Delete the labels{which} in job {job}?", abort=True, err=True)
    deleted = 0
    with Client(server) as client:
        paths: list[str | None] = [*path] if path else [None]
        for one in paths:
            deleted += client.delete_labels(job=job, path=one, labeller=labeller)
    if json:
        print_json({"deleted": deleted})
    else:
        say(f"{deleted:,} labels deleted.")
