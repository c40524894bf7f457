"""`voxmood results`: the rows of a job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from shared.cli.console import out, say
from shared.cli.submit import Server, sentence
from shared.errors.surroundings import RequestRefused

if TYPE_CHECKING:
    from shared.client import Client, Filters

_STYLES = {"classified": "green", "rejected": "yellow", "no_voice": "cyan", "failed": "red"}
PLACE = ("channel", "start_s", "end_s")  # of a segment


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


class Outcome(StrEnum):
    """What became of a clip."""

    classified = "classified"
    rejected = "rejected"
    no_voice = "no_voice"
    failed = "failed"


def show_results(
    job: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")],
    format: Annotated[Format, typer.Option(help="How rows are written.")] = Format.table,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write to this file, not to stdout.")
    ] = None,
    segments: Annotated[
        bool, typer.Option("--segments", help="The rows of windows, not of clips; filters look at these.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Model version. Default: the job's.")] = None,
    outcome: Annotated[
        list[Outcome] | None, typer.Option(help="Only rows of this outcome; may be given again.")
    ] = None,
    emotion: Annotated[
        list[str] | None, typer.Option(help="Only rows of this emotion; may be given again.")
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(metavar="LO:HI", help="Only rows between these; 0.8: or :0.5 will do.")
    ] = None,
    path: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="Only rows whose path begins so; case matters.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows of the table; 0: all of them.")] = 50,
    server: Server = None,
) -> None:
    """Show or export the rows of a job, in archive order. Filters are joined by *and*."""
    from shared.client import Client

    if format is Format.parquet and output is None and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is no text for a terminal; name a file with --output.")
    filters: Filters = {
        "outcome": [one.value for one in outcome or ()],
        "emotion": emotion,
        "confidence": confidence,
        "path_prefix": path,
        "segments": "true" if segments else None,
    }
    with Client(server) as client:
        try:
            if format is Format.table:
                _print_table(client, job, model, filters, limit)
            elif output is None:
                for block in client.export(job, format.value, model, filters, say):
                    sys.stdout.buffer.write(block)
            else:
                _write_file(client.export(job, format.value, model, filters, say), output)
        except RequestRefused as error:
            if error.facts.get("status") == HTTPStatus.UNPROCESSABLE_ENTITY:
                raise typer.BadParameter(str(error)) from error
            raise


def _write_file(blocks: Iterator[bytes], output: Path) -> None:
    """Under another name first: a file that stands under its own name is whole."""
    partial = output.with_name(f"{output.name}.partial")
    with partial.open("wb") as file:
        for block in blocks:
            file.write(block)
    partial.replace(output)
    say(f"{output}: {output.stat().st_size:,} bytes")


def _print_table(client: Client, job: int, model: str | None, filters: Filters, limit: int) -> None:
    rows = client.results(job, model, min(limit, 1000) or 1000, filters)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("path", overflow="fold", ratio=3)
    if filters.get("segments"):
        for column in PLACE:
            table.add_column(column, no_wrap=True, justify="right")
    for column in ("outcome", "emotion", "confidence"):
        table.add_column(column, no_wrap=True)
    table.add_column("reason", ratio=2)
    for row in islice(rows, limit or None):
        table.add_row(*_cells(row))
    out.print(table)
    say(sentence(client.job(job)))
    if limit and table.row_count == limit and next(rows, None) is not None:
        say(f"{limit} rows shown; --limit 0 shows all, --format csv exports them.")


def _cells(row: dict[str, Any]) -> Iterator[str | Text]:
    from shared.emotion.rejection import below

    confidence = "" if row["confidence"] is None else f"{row['confidence']:.2f}"
    if row["outcome"] == "rejected":
        confidence = below(row["confidence"], row["threshold"])
    says = row["message"] if row["outcome"] in ("failed", "no_voice") else row["error"] or ""
    yield Text(row["path"])
    yield from (str(row[column]) for column in PLACE if column in row)
    yield Text(row["outcome"], style=_STYLES[row["outcome"]])
    yield row["emotion"] or ""
    yield confidence
    yield Text(says.removeprefix(f"{row['path']} "))
