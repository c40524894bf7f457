"""The `voxmood` command: one function a command, each in the module of its subject.

Commands import what they need inside themselves, so that `voxmood status` never waits for TensorFlow.
"""

from __future__ import annotations

import sys

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
from shared.cli.console import say
from shared.errors.base import VoxmoodError
from shared.settings import Settings

app = typer.Typer(
    name="voxmood",
    help="Bulk emotion classification for archives of speech and song.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
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
            say(f"voxmood: {name}={fault['input']}: {fault['msg']}.")
        sys.exit(2)
    except KeyboardInterrupt:
        say("voxmood: interrupted")
        sys.exit(130)
