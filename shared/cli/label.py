"""`voxmood label`: what people say of a job's clips, for the next retraining."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.cli.console import print_json, progress, say
from shared.cli.submit import Server
from shared.errors.models import WrongLabels
from shared.errors.surroundings import FileMissing, RequestRefused

if TYPE_CHECKING:
    from shared.client import Client

NEEDED = ("path", "emotion")
OPTIONAL = ("upload", "speaker", "labeller")
BATCH_LABELS = 1000

app = typer.Typer(help="What people say of clips, for the next retraining.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file; columns that it has not are empty."""

    number: int
    path: str
    emotion: str
    upload: str
    speaker: str
    labeller: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is not stored."""

    line: int
    path: str
    reason: str


@app.callback()
def label() -> None:
    """What people say of clips, for the next retraining."""


@app.command(name="import")
def import_labels(
    job: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")],
    file: Annotated[Path, typer.Argument(metavar="LABELS.CSV", help="Columns: path, emotion; see above.")],
    json: Annotated[bool, typer.Option("--json", help="Print what became of them as JSON.")] = False,
    server: Server = None,
) -> None:
    """Store the labels of a CSV file: path, emotion, and as one likes upload, speaker, labeller.

    Paths are those of `voxmood results`. Wrong lines are named, the others stored; the exit code is then 1.
    """
    from shared.client import Client

    lines = list(_lines(file))
    with Client(server) as client, progress("labels") as bar:
        task = bar.add_task("Finding the clips", total=None)
        clips = _clips(client, job, {line.path for line in lines})
        found, refused = _found(lines, clips, job)
        bar.update(task, description="Storing", total=len(found))
        for start in range(0, len(found), BATCH_LABELS):
            batch = found[start : start + BATCH_LABELS]
            refused += _store(client, batch)
            bar.advance(task, len(batch))
    refused.sort(key=lambda one: one.line)
    stored = len(lines) - len(refused)
    if json:
        wrong = [{"line": one.line, "path": one.path, "reason": one.reason} for one in refused]
        print_json({"stored": stored, "refused": wrong})
    else:
        for one in refused:
            say(str(WrongLabels(file=file, line=one.line, reason=one.reason)))
        say(f"{stored:,} labels stored" + (f", {len(refused):,} refused." if refused else "."))
    if refused:
        raise typer.Exit(1)


def _lines(file: Path) -> Iterator[Line]:
    try:
        # utf-8-sig, since Excel writes a mark first.
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            for column in NEEDED:
                if column not in (reader.fieldnames or ()):
                    raise WrongLabels(file=file, line=1, reason=f"the column {column} is missing")
            for row in reader:
                # A path is taken as it is, but for the other columns nobody means the blanks.
                words = {name: (row.get(name) or "").strip() for name in ("emotion", *OPTIONAL)}
                yield Line(number=reader.line_num, path=row["path"] or "", **words)
    except FileNotFoundError as error:
        raise FileMissing(path=file) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongLabels(file=file, line=1, reason=f"not a CSV file in UTF-8 ({error})") from error


def _clips(client: Client, job: int, paths: set[str]) -> dict[str, list[dict[str, Any]]]:
    """The result rows of these paths."""
    clips = defaultdict(list)
    for row in client.results(job, None):
        if row["path"] in paths:
            clips[row["path"]].append(row)
    return clips


def _found(
    lines: Sequence[Line], clips: dict[str, list[dict[str, Any]]], job: int
) -> tuple[list[tuple[Line, int]], list[Refusal]]:
    """Each line with its clip's id, and those that name none, or more than one."""
    found: list[tuple[Line, int]] = []
    refused: list[Refusal] = []
    for line in lines:
        rows = [row for row in clips.get(line.path, ()) if line.upload in ("", row["upload"])]
        if len(rows) == 1:
            found.append((line, rows[0]["clip_id"]))
            continue
        uploads = sorted({row["upload"] for row in rows})
        if not rows:
            where = f"upload {line.upload} of job {job}" if line.upload else f"job {job}"
            reason = f"{line.path} is no path with a result in {where}"
        elif len(uploads) > 1:
            reason = f"{line.path} is in {' and in '.join(uploads)}; say which in a column named upload"
        else:
            reason = f"{line.path} is {len(rows)} times in {uploads[0]}"
        refused.append(Refusal(line.number, line.path, reason))
    return found, refused


def _store(client: Client, batch: Sequence[tuple[Line, int]]) -> list[Refusal]:
    """Send one list; what the server refuses of it."""
    body = [
        {
            "clip_id": clip_id,
            "emotion": line.emotion,
            "speaker": line.speaker or None,
            "labeller": line.labeller,
        }
        for line, clip_id in batch
    ]
    try:
        refused = client.request("POST", "/v1/labels", json=body)["refused"]
    except RequestRefused as error:
        if "refused" not in error.facts:
            raise
        refused = error.facts["refused"]
    lines = [(batch[one["place"]][0], one["reason"]) for one in refused]
    return [Refusal(line.number, line.path, reason) for line, reason in lines]
