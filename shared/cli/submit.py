"""`voxmood submit`: archives and recordings become a job."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared import packing
from shared.audio.windows import MINIMUM_S
from shared.cli.console import print_json, progress, say
from shared.cli.sending import Notes, abandon, add_sources, may_help_later, send, unfinished_job
from shared.core.errors.base import VoxmoodError
from shared.core.errors.uploads import UnknownEncoding
from shared.core.states import ENDED, JobState, Outcome
from shared.core.words import clips, pace
from shared.packing import to_send, upload_names

if TYPE_CHECKING:
    from shared.client import Client

POLL_S = 0.5
SOURCE = "s3://"
ENDED_OR_GOING = {*ENDED, JobState.DELETING}
Server = Annotated[
    str | None,
    typer.Option("--server", envvar="VOXMOOD_URL", help="Address of the API. Default: the running stack's."),
]


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
    from shared.archives import checked_encoding

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
    from shared.client import Client

    with Client(server) as client:
        options = {"model": model, "threshold": threshold, "webhook": webhook, "windows": windows.value,
                   "win_s": win, "hop_s": hop, "channels": channels.value, "encoding": encoding}  # fmt: skip
        job = submit_paths(client, paths, name, options, wait)
        document = client.job(job)
    if wait:
        say(sentence(document))
    if json:
        print_json(document)
    else:
        typer.echo(job)
    if wait and document["state"] != JobState.DONE:
        raise typer.Exit(1)


def submit_paths(
    client: Client,
    paths: list[str],
    name: str | None = None,
    options: Mapping[str, object] = MappingProxyType({}),
    wait: bool = True,
) -> int:
    """Create a job, send the files, start it, and (with `wait`) follow it to its end; returns its id.

    options: what else `POST /v1/jobs` takes.
    """
    sources = [path for path in paths if path.startswith(SOURCE)]
    contents = [to_send(Path(path)) for path in paths if not path.startswith(SOURCE)]
    said = sorted(f"{key}={value}" for key, value in options.items())
    identities = (content.identity() for content in contents)
    digest = packing.digest([client.url, str(name), *said, *sources, *identities])
    notes = Notes(client.url, digest)
    names = upload_names(contents)
    _ = [content.size for content in contents]  # what cannot be read is said before a job is begun
    begun = unfinished_job(client, notes)
    if begun is None:
        first = contents[0].name if contents else sources[0]
        job = int(client.create_job(name or first, **options)["id"])
        notes.write(job)
    else:
        job = int(begun["id"])
        say(f"Going on with job {job}, which an earlier submit began.")
    try:
        add_sources(client, job, sources, is_begun=begun is not None)
        send(client, job, dict(zip(names, contents, strict=True)))
        client.start(job)
    except VoxmoodError as error:
        if not may_help_later(error):  # refused again, or its files are no longer what they were
            notes.remove()
            abandon(client, job)
        raise
    notes.remove()
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
            so_far = document["progress"]
            bar.update(task, completed=so_far["done"], total=so_far["expected"])
            if document["state"] in ENDED_OR_GOING:
                break
            time.sleep(POLL_S)


def sentence(document: dict[str, Any]) -> str:
    """What has become of a job, in a line or a few."""
    counts = document["counts"]
    parts = [f"{counts[key]:,} {key.replace('_', ' ')}" for key in Outcome if counts[key]]
    of_them = ", ".join(parts)
    if counts["duplicates"]:
        of_them += f"; {counts['duplicates']:,} of them duplicates"
    rate = document["progress"]["clips_per_s"]
    speed = f" at {pace(rate)}" if rate else ""
    lines = [f"Job {document['id']} is {document['state']}: {clips(counts)}"
             + (f" ({of_them})" if of_them else "") + speed + "."]  # fmt: skip
    lines += [f"  {upload['error']}" for upload in document["uploads"] if upload["error"]]
    return "\n".join(lines)
