"""`voxmood cancel`, `retry`, `reclassify` and `delete`."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.cli.console import print_json, say
from shared.cli.submit import Server, sentence

Job = Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the job as JSON.")]


def cancel(job: Job, json: AsJson = False, server: Server = None) -> None:
    """Stop a job. What has an outcome keeps it; `voxmood retry` goes on with the rest."""
    _act("POST", f"/v1/jobs/{job}/cancel", json, server)


def retry(job: Job, json: AsJson = False, server: Server = None) -> None:
    """Run the failed and the interrupted clips of an ended job again."""
    _act("POST", f"/v1/jobs/{job}/retry", json, server)


def reclassify(
    job: Job,
    model: Annotated[str, typer.Option(help="A model version, or an alias as `candidate`.")],
    json: AsJson = False,
    server: Server = None,
) -> None:
    """Classify an ended job's clips under another version too; see them by `results JOB --model V`."""
    _act("POST", f"/v1/jobs/{job}/reclassify", json, server, {"model": model})


def delete(
    job: Job,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: AsJson = False,
    server: Server = None,
) -> None:
    """Remove a job with its recordings and results, for good."""
    if not yes:
        typer.confirm(f"Delete job {job} with all its recordings and results?", abort=True, err=True)
    _act("DELETE", f"/v1/jobs/{job}", json, server)


def _act(method: str, path: str, json: bool, server: str | None, body: dict[str, str] | None = None) -> None:
    from shared.client import Client

    with Client(server) as client:
        document = client.request(method, path, json=body)
    if json:
        print_json(document)
    else:
        say(sentence(document))
