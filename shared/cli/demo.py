"""`voxmood demo`: an archive of people's recordings and speech-like clips through the whole of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from voxmood.cli.console import Server, program, say
from voxmood.cli.submit import submit_paths
from voxmood.files import written
from voxmood.states import JobState


def demo(
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Only write the archive to this file; submit nothing.")
    ] = None,
    clips: Annotated[int, typer.Option(min=10, help="Recordings in the archive.")] = 24,
    seed: Annotated[int, typer.Option(help="Another seed, other recordings.")] = 0,
    server: Server = None,
) -> None:
    """Submit an archive of people's recordings and of clips made in code, and show what became of each."""
    from shared.audio.demonstration import demonstration_archive

    if output is not None:
        with written(output) as partial, partial.open("wb") as file:
            count = demonstration_archive(file, clips, seed)
        say(f"{output}: {count} recordings")
        return

    from voxmood.cli.results import show_results
    from voxmood.client import Client

    with tempfile.TemporaryDirectory() as folder, Client(server) as client:
        archive = Path(folder) / "demonstration.zip"
        with archive.open("wb") as file:
            count = demonstration_archive(file, clips, seed)
        say(f"A demonstration archive of {count} recordings, some of them odd on purpose")
        job = submit_paths(client, [str(archive)], name="demonstration")
        state = client.job(job).state
    show_results(job, limit=0, server=server)
    say(
        "people/ are actors (RAVDESS, CC BY-NC-SA 4.0: saved_models/demonstration/README.md). The takes are "
        "synthesised: nobody meant anything by them, so an honest version rejects them; odd/ is broken on "
        f"purpose. Your own recordings: {program()} submit PATH --wait"
    )
    if state != JobState.DONE:
        raise typer.Exit(1)
