"""`voxmood submit`: archives and recordings become a job."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from shared.cli.console import err, print_json, progress, say
from shared.errors import FileMissing, IsAFolder

if TYPE_CHECKING:
    from shared.client import Client

POLL_S = 0.5
ENDED = {"done", "failed", "cancelled", "deleting"}
Server = Annotated[
    str | None,
    typer.Option("--server", envvar="VOXMOOD_URL", help="Address of the API. Default: the running stack's."),
]


def submit(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Archives or recordings.")],
    name: Annotated[str | None, typer.Option(help="A name for the job.")] = None,
    model: Annotated[str | None, typer.Option(help="Model version. Default: the champion.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Reject below this confidence. Default: the version's.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the job has ended.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the job as JSON, not only its id.")] = False,
    server: Server = None,
) -> None:
    """Send archives (zip, tar, tar.gz) or recordings as one job; prints the job's id.

    With --wait the exit code is 0 only if the job ended as `done`.
    """
    from shared.client import Client

    with Client(server) as client:
        job = submit_paths(client, paths, name, model, threshold, wait)
        document = client.job(job)
    if wait:
        say(sentence(document))
    if json:
        print_json(document)
    else:
        typer.echo(job)
    if wait and document["state"] != "done":
        raise typer.Exit(1)


def submit_paths(
    client: Client,
    paths: list[Path],
    name: str | None = None,
    model: str | None = None,
    threshold: float | None = None,
    wait: bool = True,
) -> int:
    """Create a job, send the files, start it, and (with `wait`) follow it to its end; returns its id."""
    from shared.client import upload_names

    for path in paths:
        if path.is_dir():
            raise IsAFolder(path=path)
        if not path.is_file():
            raise FileMissing(path=path)
    job = int(client.create_job(name or paths[0].name, model, threshold)["id"])
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        for path, upload_name in zip(paths, upload_names(paths), strict=True):
            size = path.stat().st_size
            task = bar.add_task(f"Sending {upload_name}", total=size)
            with path.open("rb") as file:
                client.put_upload(job, upload_name, file, size, lambda sent: bar.advance(task, sent))  # noqa: B023
    client.start(job)
    if wait:
        _follow(client, job)
    else:
        say(f"Job {job} is running. `voxmood status {job}` shows how far it is.")
    return job


def _follow(client: Client, job: int) -> None:
    """Show a job's progress until it has ended."""
    with progress("clips") as bar:
        task = bar.add_task(f"Job {job}", total=None)
        while True:
            document = client.job(job)
            counts, fraction = document["counts"], document["progress"]["fraction"]
            total = max(counts["clips"], round(counts["done"] / fraction)) if fraction else None
            bar.update(task, completed=counts["done"], total=total)
            if document["state"] in ENDED:
                break
            time.sleep(POLL_S)


def sentence(document: dict[str, Any]) -> str:
    """What has become of a job, in a line or a few."""
    counts = document["counts"]
    parts = [
        f"{counts[key]:,} {key.replace('_', ' ')}"
        for key in ("classified", "rejected", "no_voice", "failed", "duplicates")
        if counts[key]
    ]
    rate = document["progress"]["clips_per_s"]
    speed = f" at {rate:,.0f} clips/s" if rate else ""
    lines = [f"Job {document['id']} is {document['state']}: {counts['done']:,} clips"
             + (f" ({', '.join(parts)})" if parts else "") + speed + "."]  # fmt: skip
    lines += [f"  {upload['error']}" for upload in document["uploads"] if upload["error"]]
    return "\n".join(lines)
