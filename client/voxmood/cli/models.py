"""`voxmood models` and `voxmood retrain`: the versions that there are, and how new ones come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from voxmood.cli.commands import App
from voxmood.cli.console import Server, err, hinted, is_narrow, out, print_json, say
from voxmood.documents import RetrainingDocument

if TYPE_CHECKING:
    from voxmood.client import Client

POLL_S = 0.5

app = App(help="Model versions.")


@app.callback()
def models() -> None:
    """Model versions."""


@app.command(name="list")
def list_models(
    json: Annotated[bool, typer.Option("--json", help="One JSON line a version.")] = False,
    server: Server = None,
) -> None:
    """List the versions, with the names that mean one of them now."""
    from voxmood.client import Client

    with Client(server) as client:
        found = client.models().models
    if json:
        for document in found:
            print_json(document)
        return
    moment = "%Y-%m-%d" if is_narrow() else "%Y-%m-%d %H:%M"
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("version", "alias", "emotions"):
        table.add_column(column, overflow="fold")
    for column in ("threshold", "accuracy", "clips", "created"):
        table.add_column(column, justify="right", no_wrap=True)
    for document in found:
        table.add_row(
            document.version, ", ".join(document.aliases), ", ".join(document.labels),
            f"{document.threshold:.2f}", f"{document.accuracy:.3f}", f"{document.training_clips:,}",
            f"{document.created.astimezone():{moment}}",
        )  # fmt: skip
    out.print(table)
    say("Accuracy is that on the test part of each version's own training: compare it with care.")


@app.command(name="show")
def show_model(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version, or an alias.")],
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    server: Server = None,
) -> None:
    """Show one version: what it knows, its threshold, its figures."""
    from voxmood.client import Client

    with Client(server) as client:
        document = client.model(version)
    if json:
        print_json(document)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in document.model_dump(mode="json").items():
        words = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
        table.add_row(name.replace("_", " "), words)
    out.print(table)


def retrain(
    now: Annotated[bool, typer.Option("--now", help="Do not wait for more labels.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="With --now: return when it has ended.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the retraining's state as JSON.")] = False,
    server: Server = None,
) -> None:
    """Show how far the next retraining is, or have one begin. Its result becomes the candidate, no more."""
    from voxmood.client import Client

    with Client(server) as client:
        if now:
            state = client.retrain()
            if wait:
                state = _follow(client)
        else:
            state = client.models().retraining
    if json:
        print_json(state)
    else:
        typer.echo(hinted(_sentence(state)))


def _follow(client: Client) -> RetrainingDocument:
    with err.status("Retraining at the lowest priority"):
        while True:
            state = client.models().retraining
            if not state.is_asked:
                return state
            time.sleep(POLL_S)


def _sentence(state: RetrainingDocument) -> str:
    if state.is_running:
        return "A retraining is running."
    if state.is_asked:
        return "A retraining was asked for and begins in a moment; `voxmood retrain` says what came of it."
    counts = f"{state.newly_labelled:,} clips labelled since the last one; {state.wanted:,} begin the next."
    if state.ended_at is None:
        return counts
    return f"{counts}\nLast, {state.ended_at.astimezone():%Y-%m-%d %H:%M}: {state.text}"
