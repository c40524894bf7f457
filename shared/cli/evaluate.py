"""`voxmood evaluate`: what a network or a version is worth.

A network by clips, by speakers, or against unknown emotions; a version under conditions and in other corpora.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.cli import trials
from shared.cli.training import BASELINE, words
from shared.models.evaluation.plan import EvaluationPlan, Protocol
from voxmood.cli.console import print_json, say, stages

TRAINS = {Protocol.BASELINE, Protocol.SPEAKER, Protocol.OPEN_SET}
JUDGES = {Protocol.CONDITIONS, Protocol.CORPUS}
# Which protocols an option belongs to, where it is not all.
OF = {
    "--drop": TRAINS,
    "--folds": {Protocol.SPEAKER, Protocol.OPEN_SET},
    "--select-on-test": {Protocol.BASELINE},
    "--seeds": TRAINS,
    "--labels": TRAINS | {Protocol.CONDITIONS},
    "--data": TRAINS | {Protocol.CONDITIONS},
    "--network": TRAINS | {Protocol.CORPUS},
    "--epochs": TRAINS | {Protocol.CORPUS},
    "--model": JUDGES,
    "--clips": JUDGES,
    "--speakers": {Protocol.CONDITIONS},
    "--conditions": {Protocol.CONDITIONS},
    "--foreign": JUDGES,
    "--corpus": {Protocol.CORPUS},
}


def evaluate(
    protocol: Annotated[Protocol, typer.Option(help="Which recordings judge, and what they ask.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of recordings named as RAVDESS', or with a labels.csv; not of corpus."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="Which network to train. Default: seed; of corpus: linear.", show_default=False),
    ] = None,
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
    model: Annotated[
        str | None,
        typer.Option(
            help="Which version judges are to hear, of conditions (default: the champion) and corpus.",
            show_default=False,
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Of corpus, once each: ravdess and banglaser by their files' names, others by labels.csv.",
        ),
    ] = None,
    speakers: Annotated[str, typer.Option(help="Of conditions: these alone judge, as in 19,20.")] = "",
    clips: Annotated[
        int | None, typer.Option(min=1, help="Of conditions and corpus: so many of each, drawn by a seed.")
    ] = None,
    conditions: Annotated[str, typer.Option(help="Of conditions: these alone, as in clean,telephone.")] = "",
    foreign: Annotated[
        bool,
        typer.Option("--foreign", help="The version learnt from other people who only have the same names."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; what it holds of finished folds is taken over. "
                     "Default: evaluation/ and the protocol's name."),
    ] = None,
) -> None:  # fmt: skip
    """Train and judge a network fold by fold, or judge a version.

    Run again after an interruption, it goes on where it was.
    """
    given = {
        "--drop": drop, "--folds": folds, "--select-on-test": select_on_test, "--labels": labels,
        "--seeds": seeds > 1, "--epochs": epochs, "--network": network, "--data": data, "--model": model,
        "--corpus": corpus, "--speakers": speakers, "--clips": clips, "--conditions": conditions,
        "--foreign": foreign,
    }  # fmt: skip
    _check({option for option, value in given.items() if value}, protocol)
    if corpus:
        if model:
            trials.judge_corpora(model, corpus, clips, output, are_foreign=foreign, as_json=json)
        else:
            trials.cross_corpora(network, corpus, epochs, output, as_json=json)
        return
    if data is None:
        raise typer.BadParameter("name the folder of the recordings.", param_hint="--data")
    if protocol is Protocol.CONDITIONS:
        those = trials.Judges(data, labels, words(speakers), clips, foreign)
        trials.judge_conditions(model, those, words(conditions), output, as_json=json)
        return
    plan = EvaluationPlan(protocol, network or BASELINE, words(drop), folds, select_on_test, seeds, epochs)
    _train(plan, data, labels, output, as_json=json)


def _check(given: set[str], protocol: Protocol) -> None:
    """Whether these options go together; all but --data, which is a path that has to be there."""
    if "--folds" in given and protocol is Protocol.BASELINE:
        raise typer.BadParameter("the protocol seed draws clips, not speakers.", param_hint="--folds")
    if "--select-on-test" in given and protocol is not Protocol.BASELINE:
        raise typer.BadParameter("it is a habit of the protocol seed.", param_hint="--select-on-test")
    for option in sorted(given):
        if protocol not in OF[option]:
            raise typer.BadParameter(f"the protocol {protocol.value} has no use for it.", param_hint=option)
    if protocol is not Protocol.CORPUS:
        return
    if "--corpus" not in given:
        raise typer.BadParameter("name each corpus, as in --corpus ravdess=DIR.", param_hint="--corpus")
    if "--model" in given and given & {"--network", "--epochs"}:
        raise typer.BadParameter("a version that ships is not trained again.", param_hint="--network")
    if "--model" not in given and given & {"--clips", "--foreign"}:
        raise typer.BadParameter(
            "it is about a version that ships: name one with --model.",
            param_hint="--clips" if "--clips" in given else "--foreign",
        )


def _train(
    plan: EvaluationPlan, data: Path, labels: Path | None, output: Path | None, *, as_json: bool
) -> None:
    from shared.core.extras import require
    from shared.core.settings import Settings
    from shared.limits import decode_limits
    from shared.models.data.datasets import read_dataset
    from shared.models.evaluation.protocols import evaluate as ask
    from shared.models.evaluation.reports import MARKDOWN, markdown, write_report

    require("train", "Training")
    settings = Settings()
    dataset = read_dataset(data, labels)
    dataset.check_emotions(plan.drop)
    without = ["without", *sorted(plan.drop)] if plan.drop else []
    folder = output or Path("evaluation") / "-".join([plan.protocol.value, plan.network, *without])
    with stages("clips", "features", "folds", "training") as report:
        outcomes, heard = ask(dataset, plan, folder, decode_limits(settings), report, settings.feature_cache)
    figures = write_report(plan, dataset, heard, outcomes, folder)
    for sentence in heard.left_out:
        say(f"Left out: {sentence}")
    if as_json:
        print_json(figures)
    else:
        typer.echo(markdown(figures))
    say(f"Written: {folder / MARKDOWN}")
