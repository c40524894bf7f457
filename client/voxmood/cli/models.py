"""`voxmood models` and `voxmood retrain`: the versions that there are, and how new ones come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from voxmood.cli.commands import App
from voxmood.cli.console import Server, err, hinted, is_narrow, out, print_json, say
from voxmood.documents import CHAMPION, ChampionDocument, DriftDocument, RetrainingDocument
from voxmood.states import DriftState

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
        told = client.models()
    found = told.models
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
    if told.champion.promotions:
        say(_last_move(told.champion))
    if told.champion.frozen_at is not None:
        say(f"The champion is frozen since {told.champion.frozen_at.astimezone():%Y-%m-%d %H:%M}.")


def _last_move(champion: ChampionDocument) -> str:
    """What became of the newest promotion."""
    last = champion.promotions[0]
    moved = f"{last.promoted_at.astimezone():%Y-%m-%d %H:%M}: {last.previous} → {last.version}"
    undone = "" if last.undone_at is None else f", undone {last.undone_at.astimezone():%Y-%m-%d %H:%M}"
    return f"Last promotion, by {last.promoted_by}, {moved}{undone}."


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


@app.command()
def drift(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version, or an alias.")] = CHAMPION,
    days: Annotated[float, typer.Option(min=0.01, max=3650, help="Of jobs that were started in them.")] = 7.0,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    server: Server = None,
) -> None:
    """Show whether what a version hears lately is like what its threshold was set on."""
    from voxmood.client import Client

    with Client(server) as client:
        told = client.drift(version, days)
    if json:
        print_json(told)
        return
    if told.bins:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("confidence", "when set", "lately"):
            table.add_column(column, justify="right", no_wrap=True)
        for one in told.bins:
            table.add_row(f"{one.low:.2f} to {one.high:.2f}", f"{one.expected:.0%}", f"{one.found:.0%}")
        out.print(table)
    typer.echo(hinted(_drifted(told)))


def _drifted(told: DriftDocument) -> str:
    """What the index means, and what to do."""
    clips = f"{told.clips:,} clips of {told.version} in {told.days:g} days"
    if told.index is None:
        lack = "too few to compare" if told.bins else "its card keeps nothing to compare with"
        return f"{clips}: {lack}."
    ask = "`voxmood review JOB` asks for the labels that say so"
    sentences = {
        DriftState.STABLE: "Recordings are as when the threshold was set.",
        DriftState.SHIFTED: f"Recordings have shifted. Is it still right? {ask}.",
        DriftState.CHANGED: f"Recordings are of another kind. Do not rely on it before you know: {ask}.",
    }
    return f"{clips}: stability index {told.index:.2f}. {sentences[told.state]}"


@app.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version, or an alias as candidate.")],
    json: Annotated[bool, typer.Option("--json", help="Print the champion as JSON.")] = False,
    server: Server = None,
) -> None:
    """Make a version the champion: jobs that are made from now on have it, all others keep theirs."""
    from voxmood.client import Client

    with Client(server) as client:
        told = client.promote(version)
    if json:
        print_json(told)
    else:
        say(f"The champion is {told.version}. `voxmood models rollback` undoes that.")


@app.command()
def rollback(
    json: Annotated[bool, typer.Option("--json", help="Print the champion as JSON.")] = False,
    server: Server = None,
) -> None:
    """Undo the last promotion, and freeze the champion so that no retraining moves it again."""
    from voxmood.client import Client

    with Client(server) as client:
        told = client.roll_back()
    if json:
        print_json(told)
    else:
        say(f"The champion is {told.version} again, and frozen. `voxmood models freeze --off` lets it move.")


@app.command()
def freeze(
    off: Annotated[bool, typer.Option("--off", help="Let it move again.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the champion as JSON.")] = False,
    server: Server = None,
) -> None:
    """Have the champion stay what it is, whatever is trained."""
    from voxmood.client import Client

    with Client(server) as client:
        told = client.freeze(frozen=not off)
    if json:
        print_json(told)
    elif off:
        say(f"The champion is {told.version} and may move.")
    else:
        say(f"The champion stays {told.version}. `voxmood models freeze --off` lets it move again.")


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
