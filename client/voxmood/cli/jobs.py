"""`voxmood jobs` and `voxmood status`."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from voxmood.cli.console import Server, hinted, is_narrow, out, print_json
from voxmood.documents import Progress
from voxmood.states import JobState, Outcome
from voxmood.words import job_sentence

COUNTS = ("clips", *Outcome)


def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="One JSON line a job.")] = False,
    server: Server = None,
) -> None:
    """List the jobs, the newest first."""
    from voxmood.client import Client

    with Client(server) as client:
        found = list(islice(client.jobs(limit), limit))
    if json:
        for document in found:
            print_json(document)
        return
    if not found:
        out.print(hinted("There are no jobs yet. `voxmood submit recordings.zip` makes one."))
        return
    narrow = is_narrow()
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0) if narrow else (0, 1))
    table.add_column("job", no_wrap=True)
    table.add_column("name", overflow="fold")
    for column in ("state", "created") if narrow else ("state", "model", "created"):
        table.add_column(column, no_wrap=True)
    for column in ("clips", "classified", "rejected", "no voice", "failed"):
        table.add_column(column, justify="right", min_width=max(map(len, column.split())))
    for document in found:
        created = document.created_at.astimezone()
        table.add_row(
            str(document.id), Text(document.name or ""), document.state,
            *([] if narrow else [document.model_version]),
            f"{created:%Y-%m-%d}" if narrow else f"{created:%Y-%m-%d %H:%M}",
            *(f"{getattr(document.counts, key):,}" for key in COUNTS),
        )  # fmt: skip
    out.print(table)


def status(
    job: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")],
    json: Annotated[bool, typer.Option("--json", help="The whole document as JSON.")] = False,
    server: Server = None,
) -> None:
    """Show how far a job is: counts, rate, time left, each upload."""
    from voxmood.client import Client

    with Client(server) as client:
        document = client.job(job)
    if json:
        print_json(document)
        return
    out.print(job_sentence(document), markup=False)
    if document.state == JobState.RUNNING:
        out.print(_ahead(document.progress))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("upload", overflow="fold")
    table.add_column("state", no_wrap=True)
    for column in ("size", "clips", "failed", "duplicates"):
        table.add_column(column, justify="right", no_wrap=True)
    for upload in document.uploads:
        numbers = (upload.clips, upload.failed, upload.duplicates)
        table.add_row(
            Text(upload.name), upload.state, f"{upload.bytes / 1e6:,.1f} MB", *(f"{one:,}" for one in numbers)
        )
    out.print(table)


def _ahead(progress: Progress) -> str:
    """Of the run: a job that is retried begins anew."""
    if progress.seconds_left is None:
        return "No clip of this run has an outcome yet."
    left = timedelta(seconds=round(progress.seconds_left))
    hundredths = min(int(100 * progress.fraction), 99)
    return f"{hundredths}% of this run done, about {left} left."
