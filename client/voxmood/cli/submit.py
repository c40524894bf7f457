"""`voxmood submit`: archives and recordings become a job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID

from voxmood.cli.console import Server, print_json, progress, say, transfer_progress
from voxmood.documents import JobDocument
from voxmood.documents.requests import MINIMUM_S
from voxmood.encodings import checked_encoding
from voxmood.errors import UnknownEncoding
from voxmood.states import JobState
from voxmood.words import job_sentence

if TYPE_CHECKING:
    from voxmood.client import Client
    from voxmood.endpoints import JobOptions
    from voxmood.submission import Sent


class Kind(StrEnum):
    """Of windows."""

    clip = "clip"
    sliding = "sliding"


class Channels(StrEnum):
    """What becomes of several channels."""

    mix = "mix"
    separate = "separate"


def _checked_encoding(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return checked_encoding(name)
    except UnknownEncoding as error:
        raise typer.BadParameter(str(error)) from error


def submit(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Archives, recordings, folders, or s3://bucket/prefix."),
    ],
    name: Annotated[str | None, typer.Option(help="A name for the job.")] = None,
    model: Annotated[str | None, typer.Option(help="Model version. Default: the champion.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Reject below this confidence. Default: the version's.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Where to POST the job's document when it has ended.")
    ] = None,
    windows: Annotated[
        Kind,
        typer.Option(
            help="sliding: keep an outcome for each window; the clip's is their mean, by the voice in each."
        ),
    ] = Kind.clip,
    win: Annotated[
        float | None,
        typer.Option(
            min=MINIMUM_S,
            metavar="S",
            help="Seconds of a sliding window. Default: the most that the model hears at once.",
        ),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            min=MINIMUM_S,
            metavar="S",
            help="Seconds between two windows' beginnings. Default: half of a window.",
        ),
    ] = None,
    channels: Annotated[
        Channels, typer.Option(help="separate: hear each channel by itself; the clip's outcome is over all.")
    ] = Channels.mix,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=_checked_encoding,
            help="Of names that are not UTF-8: cp932 (Japanese), gbk (Chinese), cp866 (Russian) …",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the job has ended.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the job as JSON, not only its id.")] = False,
    server: Server = None,
) -> None:
    """Send archives, recordings or folders as one job; prints the job's id.

    A submit that was killed goes on when it is repeated. With --wait the exit code is 0 only if the
    job ended as `done`.
    """
    from voxmood.client import Client

    with Client(server) as client:
        options: JobOptions = {
            "model": model,
            "threshold": threshold,
            "webhook": webhook,
            "windows": windows.value,
            "win_s": win,
            "hop_s": hop,
            "channels": channels.value,
            "encoding": encoding,
        }
        job = submit_paths(client, paths, name, options, wait)
        document = client.job(job)
    if wait:
        say(job_sentence(document))
    if json:
        print_json(document)
    else:
        typer.echo(job)
    if wait and document.state != JobState.DONE:
        raise typer.Exit(1)


class SendingBars:
    """A bar on stderr for each upload, from the first byte that is sent on."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> SendingBars:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def show(self, sent: Sent) -> None:
        """How far an upload is."""
        if self._bar is None:
            self._bar = self._open.enter_context(transfer_progress())
        if sent.name not in self._tasks:
            self._tasks[sent.name] = self._bar.add_task(f"Sending {sent.name}", total=sent.total)
        self._bar.update(self._tasks[sent.name], completed=sent.done)


def submit_paths(
    client: Client,
    paths: Sequence[str],
    name: str | None = None,
    options: JobOptions | None = None,
    wait: bool = True,
) -> int:
    """Create a job, send the files, start it, and (with `wait`) follow it to its end; returns its id."""
    with SendingBars() as bars:
        job = client.submit(*paths, name=name, on_sent=bars.show, on_note=say, **(options or {})).id
    if wait:
        _follow(client, job)
    else:
        say(f"Job {job} is running. `voxmood status {job}` shows how far it is.")
    return job


def _follow(client: Client, job: int) -> None:
    """Show a job's progress until it has ended."""
    with progress("clips") as bar:
        task = bar.add_task(f"Job {job}", total=None)

        def show(document: JobDocument) -> None:
            bar.update(task, completed=document.progress.done, total=document.progress.expected)

        client.wait(job, on_progress=show, patience_s=0)
