"""The `voxmood` command: one function a command, each in the module of its subject.

Commands import what they need inside themselves, so that `voxmood status` never waits for TensorFlow.
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer
from pydantic import ValidationError

from shared.cli import (
    classify,
    dataset,
    demo,
    doctor,
    evaluate,
    jobs,
    keys,
    label,
    lifecycle,
    models,
    report,
    results,
    stack,
    submit,
    training,
)
from shared.cli.commands import App
from shared.cli.console import say
from shared.core.errors.base import VoxmoodError
from shared.core.errors.wording import fault_in_words
from shared.core.settings import Settings

app = App(
    name="voxmood",
    help="Bulk emotion classification for archives of speech and song.",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voxmood {metadata.version('voxmood')}")
        raise typer.Exit


@app.callback()
def voxmood(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """What stands before every command."""


app.command()(stack.up)
app.command()(stack.down)
app.command()(doctor.doctor)
app.command()(demo.demo)
app.command()(submit.submit)
app.command(name="jobs")(jobs.list_jobs)
app.command()(jobs.status)
app.command()(lifecycle.cancel)
app.command()(lifecycle.retry)
app.command()(lifecycle.reclassify)
app.command()(lifecycle.delete)
app.command(name="results")(results.show_results)
app.command()(report.report)
app.command(name="classify")(classify.classify_files)
app.command()(training.train)
app.command()(evaluate.evaluate)
app.command()(models.retrain)
app.add_typer(label.app, name="label")
app.add_typer(models.app, name="models")
app.add_typer(dataset.app, name="dataset")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """The entry point: an expected error is one sentence on stderr and exit code 1."""
    try:
        app()
    except VoxmoodError as error:
        say(f"voxmood: {error}")
        sys.exit(1)
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        for fault in error.errors():
            name = "VOXMOOD_" + "_".join(str(place) for place in fault["loc"]).upper()
            say(f"voxmood: {name} {fault_in_words(fault)}.")
        sys.exit(2)
    except KeyboardInterrupt:
        say("voxmood: interrupted")
        sys.exit(130)
