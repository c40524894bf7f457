"""`voxmood results`: the rows of a job."""

from __future__ import annotations

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.table import Table
from rich.text import Text

from voxmood.cli.console import Server, out, say
from voxmood.documents import ResultRow, SegmentRow
from voxmood.errors import RequestRefused, TooManyRows
from voxmood.files import check_folder, written
from voxmood.states import Outcome, QualityFlag
from voxmood.words import below, job_sentence

if TYPE_CHECKING:
    from voxmood.client import Client
    from voxmood.endpoints import ExportFormat, FrameChoice, RowChoice

_STYLES = {
    Outcome.CLASSIFIED: "green",
    Outcome.REJECTED: "yellow",
    Outcome.NO_VOICE: "cyan",
    Outcome.FAILED: "red",
}
PLACE = ("channel", "start_s", "end_s")  # of a segment
ALWAYS = (
    "path",
    "outcome",
    "emotion",
    "confidence",
)  # columns of the table, though no row has anything in them
BEHIND_COLUMNS = ("message",)  # what a row has as JSON and an export's table has not


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    xlsx = "xlsx"


OF_FILES = tuple(one for one in Format if one is not Format.table)


def show_results(
    job: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")],
    format: Annotated[
        Format | None,
        typer.Option(
            help="How rows are written. Default: as the name of --output ends, else a table.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Write to this file: .csv, .jsonl, .parquet or .xlsx (for Excel), not to stdout.",
        ),
    ] = None,
    bom: Annotated[
        bool,
        typer.Option(
            "--bom",
            help="CSV: begin with the mark by which Excel knows UTF-8, for opening by a double-click.",
        ),
    ] = False,
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
    quality: Annotated[
        list[QualityFlag] | None,
        typer.Option(help="Only rows of recordings that are like this; may be given again."),
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
    from voxmood.client import Client

    chosen = _format(format, output, bom)
    choice: FrameChoice = {
        "model": model,
        "outcome": outcome,
        "emotion": emotion,
        "quality": quality,
        "confidence": confidence,
        "path_prefix": path,
        "segments": segments,
    }
    with Client(server) as client:
        try:
            if chosen is Format.table:
                _print_table(client, job, choice, limit)
            elif output is None:
                for block in _blocks(client, job, chosen, choice, bom):
                    sys.stdout.buffer.write(block)
            elif chosen is Format.xlsx:
                _write_worksheet(client, job, choice, output)
            else:
                with written(output) as partial, partial.open("wb") as file:
                    for block in _blocks(client, job, chosen, choice, bom):
                        file.write(block)
                say(f"{output}: {output.stat().st_size:,} bytes")
        except RequestRefused as error:
            if error.http_status == HTTPStatus.UNPROCESSABLE_ENTITY:
                raise typer.BadParameter(str(error)) from error
            raise


def _format(given: Format | None, output: Path | None, bom: bool) -> Format:
    """How rows are to be written, by what was asked; what does not go together is said before all else."""
    if output is None:
        chosen = given or Format.table
        if chosen is Format.xlsx:
            raise typer.BadParameter("a workbook is no text for stdout; name a file with --output.")
        if chosen is Format.parquet and sys.stdout.isatty():
            raise typer.BadParameter("Parquet is no text for a terminal; name a file with --output.")
    else:
        chosen = _format_of_file(given, output)
        check_folder(output)
    if bom and chosen is not Format.csv:
        raise typer.BadParameter(
            f"it is a mark of CSV, and these rows are written as {chosen}.", param_hint="--bom"
        )
    return chosen


def _format_of_file(given: Format | None, output: Path) -> Format:
    by_name = next((one for one in OF_FILES if output.suffix.lower() == f".{one}"), None)
    chosen = given or by_name
    if given is Format.table:
        raise typer.BadParameter(
            f"a table is for the terminal. Into a file go {' or '.join(OF_FILES)}.", param_hint="--format"
        )
    if chosen is None:
        endings = ", ".join(f".{one}" for one in OF_FILES)
        raise typer.BadParameter(
            f"the name {output.name} says no format ({endings}); say it with --format.", param_hint="--output"
        )
    if given and by_name and given is not by_name:
        raise typer.BadParameter(
            f"the name {output.name} says {by_name}, and --format says {given}; choose one.",
            param_hint="--output",
        )
    return chosen


def _blocks(client: Client, job: int, format: Format, choice: FrameChoice, bom: bool) -> Iterator[bytes]:
    if bom:
        yield BOM_UTF8
    yield from client.export(job, cast("ExportFormat", format.value), on_note=say, **choice)


def _write_worksheet(client: Client, job: int, choice: FrameChoice, output: Path) -> None:
    """An Excel workbook, from the rows as JSON lines."""
    from voxmood.cli import worksheet

    worksheet.check()
    _check_room(client, job, choice, worksheet.MOST_ROWS)
    rows = map(json.loads, _lines(client.export(job, "jsonl", on_note=say, **choice)))
    first = next(rows, None)
    columns = _columns(client, job, choice) if first is None else [*first][: -len(BEHIND_COLUMNS)]
    every = rows if first is None else chain([first], rows)
    sheet = "segments" if choice["segments"] else "results"
    with written(output) as partial:
        cut = worksheet.write_rows(partial, sheet, columns, every)
    say(f"{output}: {output.stat().st_size:,} bytes")
    if cut:
        say(
            f"{cut:,} texts are longer than a cell of Excel holds, and end in …; --format csv has them whole."
        )


def _check_room(client: Client, job: int, choice: FrameChoice, most: int) -> None:
    """TooManyRows, before anything is written. Of a job with more clips, the wanted ones are counted."""
    if not choice["segments"] and client.job(job).counts.clips <= most:
        return
    found = sum(block.count(b"\n") for block in client.export(job, "jsonl", **choice))
    if found > most:
        raise TooManyRows(most=most)


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    left = b""
    for block in blocks:
        *lines, left = (left + block).split(b"\n")
        yield from lines
    if left:
        yield left


def _columns(client: Client, job: int, choice: FrameChoice) -> list[str]:
    """The columns of rows that there are none of: JSON lines cannot say, but CSV has a header."""
    header = b"".join(client.export(job, "csv", **choice)).decode().splitlines()[0]
    return header.split(",")


def _print_table(client: Client, job: int, choice: FrameChoice, limit: int) -> None:
    page_rows = min(limit, 1000) or 1000
    those = cast("RowChoice", {name: value for name, value in choice.items() if name != "segments"})
    rows: Iterator[ResultRow] = (client.segments if choice["segments"] else client.results)(
        job, page_rows=page_rows, **those
    )
    shown = [_cells(row) for row in islice(rows, limit or None)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    names = (
        [name for name in shown[0] if name in ALWAYS or any(row[name] for row in shown)] if shown else ALWAYS
    )
    for name in names:
        if name in ("path", "reason"):
            table.add_column(name, overflow="fold", ratio=3 if name == "path" else 2)
        else:
            table.add_column(name, no_wrap=True, justify="right" if name in PLACE else "left")
    for row in shown:
        table.add_row(*(row[name] for name in names))
    out.print(table)
    say(job_sentence(client.job(job)))
    if limit and len(shown) == limit and next(rows, None) is not None:
        say(f"{limit} rows shown; --limit 0 shows all, --format csv exports them.")


def _cells(row: ResultRow) -> dict[str, str | Text]:
    confidence = "" if row.confidence is None else f"{row.confidence:.2f}"
    if row.outcome == Outcome.REJECTED and row.confidence is not None and row.threshold is not None:
        confidence = below(row.confidence, row.threshold)
    says = row.message if row.outcome in (Outcome.FAILED, Outcome.NO_VOICE) else row.error or ""
    places = [getattr(row, name) for name in PLACE] if isinstance(row, SegmentRow) else []
    return {
        "path": Text(row.path),
        **{
            name: str(round(value, 3)) if isinstance(value, float) else str(value)
            for name, value in zip(PLACE, places, strict=False)
        },
        "outcome": Text(row.outcome, style=_STYLES[row.outcome]),
        "emotion": row.emotion or "",
        "confidence": confidence,
        "reason": Text(says.removeprefix(f"{row.path} ")),
    }
