"""`voxmood train`: recordings become a model version."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from voxmood.cli.console import print_json, say, stages

BASELINE = "seed"


def train(
    data: Annotated[Path, typer.Option(help="Folder of recordings named as RAVDESS', or with a labels.csv.")],
    version: Annotated[str | None, typer.Option(help="Its name. Default: network, date and time.")] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which network to train: v8, the champion's; v8-small, quick to serve; or seed: "
            "the default, the published baseline, quick, and what every claim is measured against.",
            show_default=False,
        ),
    ] = None,
    drop: Annotated[
        str, typer.Option(help="Emotions to leave out, as in sad,surprised: the unknowns of the threshold.")
    ] = "",
    reserve: Annotated[str, typer.Option(help="Speakers to keep out of everything, as in 19,20.")] = "",
    labels: Annotated[
        Path | None, typer.Option(help="CSV file with the columns path, emotion and speaker.")
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Another corpus to learn from, once each, of the emotions that it shares with --data: "
            "banglaser by its files' names, others by labels.csv.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and the augmentation.")] = 42,
    json: Annotated[bool, typer.Option("--json", help="Print the version's manifest as JSON.")] = False,
) -> None:
    """Train a model version; ends with the summary of its figures. Versions never change."""
    from shared.core.extras import require
    from shared.core.settings import Settings
    from shared.limits import decode_limits
    from shared.models.data.corpora import read_corpora, training_corpora
    from shared.models.data.datasets import Recordings, read_dataset
    from shared.models.metrics.scores import summary
    from shared.models.training.baseline import TrainingConfig
    from shared.models.training.publication import train_version

    require("train", "Training")
    if network is None:
        network = BASELINE
        say(
            f"Training the network {BASELINE}, the default: the published baseline, quick, and what every "
            "claim is measured against. --network v8 trains the champion's."
        )
    settings = Settings()
    dataset = read_dataset(data, labels)
    dropped, reserved = words(drop), words(reserve)
    dataset.check_emotions(dropped)
    dataset.check_speakers(reserved)
    recordings: Recordings = dataset
    if corpus:
        main = dataset.name
        recordings = training_corpora(main, {main: dataset, **read_corpora(corpus)})
        reserved = [f"{main}/{speaker}" for speaker in reserved]
    config = TrainingConfig(
        version=version or f"{network}-{datetime.now():%Y%m%d-%H%M%S}",
        network=network,
        drop=dropped,
        reserve=reserved,
        seed=seed,
    )
    with stages("clips", "features", "training") as report:
        manifest, left_out = train_version(
            recordings, config, settings.models_dir, decode_limits(settings), report, settings.feature_cache
        )
    for sentence in left_out:
        say(f"Left out: {sentence}")
    if json:
        print_json(manifest.model_dump(mode="json"))
    else:
        typer.echo(summary(manifest))
    say(f"Saved: {settings.models_dir / manifest.version}")


def words(text: str) -> list[str]:
    """The words of a list separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]
