"""`voxmood evaluate --protocol conditions|corpus`: versions under conditions and in foreign corpora."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from voxmood.cli.console import print_json, say, stages

if TYPE_CHECKING:
    from shared.models.serving.classifier import Classifier

SEED = 42


@dataclass(frozen=True, slots=True)
class Judges:
    """Whose recordings judge: a folder with its labels, of it these speakers, so many clips.

    is_foreign: the version learnt from other people, though of the same names.
    """

    folder: Path
    labels: Path | None
    speakers: Sequence[str]
    clips: int | None
    is_foreign: bool


def judge_conditions(
    model: str | None, judges: Judges, names: Sequence[str], output: Path | None, *, as_json: bool
) -> None:
    """A version under each condition, and of sounds without a voice."""
    from shared.audio.conditions import conditions
    from shared.core.settings import Settings
    from shared.limits import decode_limits
    from shared.models.data.datasets import read_dataset
    from shared.models.evaluation.served_trials import classify_sounds, classify_under, clips_to_test
    from shared.models.evaluation.trial_reports import conditions_report

    settings = Settings()
    wanted = conditions(names)
    dataset = read_dataset(judges.folder, judges.labels)
    classifier = _classifier(model)
    manifest = classifier.manifest
    tested = clips_to_test(
        manifest, dataset,
        speakers=judges.speakers, clips=judges.clips, is_foreign=judges.is_foreign, seed=SEED,
    )  # fmt: skip
    folder = output or Path("evaluation") / f"conditions-{manifest.version}"
    there = [condition for condition in wanted if condition.is_there]
    answers = {}
    with stages("clips", "conditions", "clips") as report:
        for done, condition in enumerate(there):
            report("conditions", done, len(there))
            answers[condition] = classify_under(
                classifier, tested, condition, decode_limits(settings), report, folder, SEED
            )
        report("conditions", len(there), len(there))
    missing = [condition for condition in wanted if not condition.is_there]
    document = conditions_report(manifest, tested, answers, missing, classify_sounds(classifier), SEED)
    for condition in missing:
        say(f"Left out: {condition.text}, since PyAV (the extra av) is not installed.")
    _write(document, folder, as_json)


def judge_corpora(
    model: str,
    named: Sequence[str],
    clips: int | None,
    output: Path | None,
    *,
    are_foreign: bool,
    as_json: bool,
) -> None:
    """A version judged by each corpus, none of which it ever saw."""
    from shared.audio.conditions import CLEAN, CONDITIONS
    from shared.core.settings import Settings
    from shared.limits import decode_limits
    from shared.models.data.corpora import read_corpora
    from shared.models.evaluation.served_trials import classify_under, clips_to_test, is_foreign
    from shared.models.evaluation.trial_reports import corpora_report

    settings = Settings()
    corpora = read_corpora(named)
    classifier = _classifier(model)
    manifest = classifier.manifest
    folder = output or Path("evaluation") / f"corpus-{manifest.version}"
    answers = {}
    with stages("clips", "corpora", "clips") as report:
        for done, (name, dataset) in enumerate(corpora.items()):
            report("corpora", done, len(corpora))
            is_other = are_foreign or is_foreign(manifest, dataset)
            tested = clips_to_test(manifest, dataset, clips=clips, is_foreign=is_other, seed=SEED)
            predictions = classify_under(
                classifier, tested, CONDITIONS[CLEAN], decode_limits(settings), report, folder, SEED
            )
            answers[name] = dataset, tested, predictions
        report("corpora", len(corpora), len(corpora))
    _write(corpora_report(manifest, answers, SEED), folder, as_json)


def cross_corpora(
    network: str | None, named: Sequence[str], epochs: int | None, output: Path | None, *, as_json: bool
) -> None:
    """A network trained on all corpora but one, and judged by that one, each in turn."""
    from shared.core.settings import Settings
    from shared.limits import decode_limits
    from shared.models.data.corpora import read_corpora
    from shared.models.evaluation.corpus_trials import LINEAR, corpus_trials
    from shared.models.evaluation.trial_reports import corpus_trials_report

    settings = Settings()
    corpora = read_corpora(named)
    name = network or LINEAR
    folder = output or Path("evaluation") / f"corpus-{name}"
    with stages("clips", "features", "corpora", "training") as report:
        trials, left_out = corpus_trials(
            corpora, name, decode_limits(settings), report, folder, settings.feature_cache, epochs, SEED
        )
    for sentence in left_out:
        say(f"Left out: {sentence}")
    _write(corpus_trials_report(corpora, trials, left_out, name, epochs, SEED), folder, as_json)


def _classifier(model: str | None) -> Classifier:
    from shared.core.settings import Settings
    from shared.models.serving.classifier import Classifier

    settings = Settings()
    return Classifier.load(settings.model_folders, model or settings.champion)


def _write(document: dict[str, Any], folder: Path, as_json: bool) -> None:
    from shared.models.evaluation.reports import MARKDOWN
    from shared.models.evaluation.trial_markdown import markdown
    from shared.models.evaluation.trial_reports import write

    write(document, folder)
    if as_json:
        print_json(document)
    else:
        typer.echo(markdown(document))
    say(f"Written: {folder / MARKDOWN}")
