"""`voxmood cancel`, `retry`, `reclassify` and `delete`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from voxmood.cli.console import Server, print_json, say
from voxmood.documents import JobDocument
from voxmood.words import job_sentence

if TYPE_CHECKING:
    from voxmood.client import Client

Job = Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the job as JSON.")]


def cancel(job: Job, json: AsJson = False, server: Server = None) -> None:
    """Stop a job. What has an outcome keeps it; `voxmood retry` goes on with the rest."""
    _act(lambda client: client.cancel(job), json, server)


def retry(job: Job, json: AsJson = False, server: Server = None) -> None:
    """Run the failed and the interrupted clips of an ended job again."""
    _act(lambda client: client.retry(job), json, server)


def reclassify(
    job: Job,
    model: Annotated[str, typer.Option(help="A model version, or an alias as `candidate`.")],
    json: AsJson = False,
    server: Server = None,
) -> None:
    """Classify an ended job's clips under another version too; see them by `results JOB --model V`."""
    _act(lambda client: client.reclassify(job, model), json, server)


def delete(
    job: Job,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: AsJson = False,
    server: Server = None,
) -> None:
    """Remove a job with its recordings and results, for good."""
    if not yes:
        typer.confirm(f"Delete job {job} with all its recordings and results?", abort=True, err=True)
    _act(lambda client: client.delete(job), json, server)


def _act(act: Callable[[Client], JobDocument], json: bool, server: str | None) -> None:
    from voxmood.client import Client

    with Client(server) as client:
        document = act(client)
    if json:
        print_json(document)
    else:
        say(job_sentence(document))
