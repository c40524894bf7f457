"""`voxmood evaluate`: what a network is worth, by clips, by speakers, or against unknown emotions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.cli.console import print_json, progress, say
from shared.cli.training import words
from shared.emotion.questions import Protocol, Question


def evaluate(
    data: Annotated[Path, typer.Option(help="Folder of recordings named as RAVDESS', or with a labels.csv.")],
    protocol: Annotated[Protocol, typer.Option(help="Which recordings judge, and what they ask.")],
    network: Annotated[str, typer.Option(help="Which network to train.")] = "seed",
    drop: Annotated[
        str, typer.Option(help="Emotions to leave out, as in sad,surprised: open-set's unknowns.")
    ] = "",
    folds: Annotated[
        Path | None, typer.Option(help="File with a line a fold: its speakers, separated by commas.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV file with the columns path, emotion and speaker.")
    ] = None,
    select_on_test: Annotated[
        bool, typer.Option("--select-on-test", help="Also the seed's habit: epoch chosen on the test.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 42 on.")] = 1,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of each training, at most. Default: the network's own.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; what it holds of finished folds is taken over. "
                     "Default: evaluation/ and the protocol's name."),
    ] = None,
) -> None:  # fmt: skip
    """Train and judge a network fold by fold. Run again after an interruption, it goes on where it was."""
    if folds and protocol is Protocol.SEED:
        raise typer.BadParameter("the protocol seed draws clips, not speakers.", param_hint="--folds")
    if select_on_test and protocol is not Protocol.SEED:
        raise typer.BadParameter("it is a habit of the protocol seed.", param_hint="--select-on-test")
    from shared.audio.decode import DecodeLimits
    from shared.emotion.datasets import read_dataset
    from shared.emotion.protocols import evaluate as ask
    from shared.emotion.reports import MARKDOWN, markdown, write_report
    from shared.settings import Settings

    settings = Settings()
    question = Question(protocol, network, words(drop), folds, select_on_test, seeds, epochs)
    dataset = read_dataset(data, labels)
    dataset.check_emotions(question.drop)
    name = "-".join(
        [protocol.value, network, *(["without", *sorted(question.drop)] if question.drop else [])]
    )
    folder = output or Path("evaluation") / name
    with progress("clips") as bar:
        tasks = {stage: bar.add_task(stage, total=None) for stage in ("features", "folds", "training")}

        def report(stage: str, done: int, total: int) -> None:
            bar.update(tasks[stage], completed=done, total=total)

        outcomes, heard = ask(
            dataset, question, folder, DecodeLimits.of(settings), report, settings.feature_cache
        )
    figures = write_report(question, dataset, heard, outcomes, folder)
    for sentence in heard.left_out:
        say(f"Left out: {sentence}")
    if json:
        print_json(figures)
    else:
        typer.echo(markdown(figures))
    say(f"Written: {folder / MARKDOWN}")
