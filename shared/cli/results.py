"""`voxmood results`: the rows of a job."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from shared.cli.console import out, say
from shared.cli.submit import Server, sentence

if TYPE_CHECKING:
    from shared.client import Client

_STYLES = {"classified": "green", "rejected": "yellow", "no_voice": "cyan", "failed": "red"}


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


def show_results(
    job: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")],
    format: Annotated[Format, typer.Option(help="How rows are written.")] = Format.table,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write to this file, not to stdout.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model version. Default: the job's.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows of the table; 0: all of them.")] = 50,
    server: Server = None,
) -> None:
    """Show or export the rows of a job, in archive order."""
    from shared.client import Client

    with Client(server) as client:
        if format is Format.table:
            _print_table(client, job, model, limit)
        elif output is None:
            for block in client.export(job, format.value, model):
                sys.stdout.buffer.write(block)
        else:
            _write_file(client, job, format, model, output)


def _write_file(client: Client, job: int, format: Format, model: str | None, output: Path) -> None:
    """Under another name first: a file that stands under its own name is whole."""
    partial = output.with_name(f"{output.name}.partial")
    with partial.open("wb") as file:
        for block in client.export(job, format.value, model):
            file.write(block)
    partial.replace(output)
    say(f"{output}: {output.stat().st_size:,} bytes")


def _print_table(client: Client, job: int, model: str | None, limit: int) -> None:
    rows = client.results(job, model, page=min(limit, 1000) or 1000)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("path", overflow="fold", ratio=3)
    for column in ("outcome", "emotion", "confidence"):
        table.add_column(column, no_wrap=True)
    table.add_column("reason", ratio=2)
    shown = 0
    for row in islice(rows, limit or None):
        table.add_row(*_cells(row))
        shown += 1
    out.print(table)
    document = client.job(job)
    say(sentence(document))
    if document["counts"]["done"] > shown:
        say(f"{shown} rows shown; --limit 0 shows all, --format csv exports them.")


def _cells(row: dict[str, Any]) -> tuple[Text, Text, str, str, Text]:
    confidence = "" if row["confidence"] is None else f"{row['confidence']:.2f}"
    if row["outcome"] == "rejected":
        confidence += f" < {row['threshold']:.2f}"
    says = row["message"] if row["outcome"] in ("failed", "no_voice") else ""
    return (
        Text(row["path"]),
        Text(row["outcome"], style=_STYLES[row["outcome"]]),
        row["emotion"] or "",
        confidence,
        Text(says.removeprefix(f"{row['path']} ")),
    )
