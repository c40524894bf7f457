"""The protocol `corpus`: all corpora but one teach, and that one judges, by the emotions that they share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import softmax

from shared.audio.limits import DecodeLimits
from shared.audio.spec import VOICE_V7, FeatureSpec
from shared.core.errors.models import NobodyJudges, TooFewCorpora, UnknownNetwork
from shared.core.states import Outcome
from shared.models.data import feature_cache
from shared.models.data.audio_data import AudioData
from shared.models.data.classes import FEWEST_CLIPS
from shared.models.data.corpora import JoinedCorpora
from shared.models.data.datasets import Dataset
from shared.models.data.folds import Choosers, Clips, Fold, Indices, Words, check, speaker_folds
from shared.models.evaluation.predictions import Predictions
from shared.models.metrics.calibration import Values, fit_temperature
from shared.models.serving.rejection import risk_threshold
from shared.models.training.baseline import Report, TrainingConfig
from shared.models.training.fit_result import FoldData
from shared.models.training.masked import STEPS, Linear, Mask, masked, probabilities
from shared.models.training.recipes import RECIPES, recipe_of

LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class CorpusTrial:
    """One corpus held out. labels: the emotions that the others taught, sorted; shared: those of them that it
    has too; aside: its clips of other emotions, which no one can be right about; replies: of the rest.
    """

    corpus: str
    labels: list[str]
    shared: list[str]
    aside: int
    train_clips: int
    replies: Predictions


def corpus_trials(
    corpora: dict[str, Dataset],
    network: str,
    limits: DecodeLimits,
    report: Report,
    output: Path | None = None,
    cache: Path | None = None,
    epochs: int | None = None,
    seed: int = 42,
) -> tuple[list[CorpusTrial], tuple[str, ...]]:
    """Hold each corpus out in turn; what `output` holds of finished ones is taken over. Beside them a
    sentence for each recording that was left out.

    network: `linear`, a logistic regression on v8-small's statistics, or one of `methods.RECIPES`, taught as
    ever. Temperature and threshold come from the learning corpora, crosswise where the method does so, else
    from some of their speakers. Clips whose twin judges teach nothing.
    Raises TooFewCorpora, UnknownNetwork and NobodyJudges.
    """
    if len(corpora) < 2:
        raise TooFewCorpora
    if network not in (LINEAR, *RECIPES):
        raise UnknownNetwork(network=network, known=", ".join((LINEAR, *RECIPES)))
    spec: FeatureSpec = VOICE_V7
    draws = 0
    if network != LINEAR:
        spec, draws = recipe_of(network).read, recipe_of(network).draws
    width = VOICE_V7.statistics if network == LINEAR else None
    data = feature_cache.load_joined(JoinedCorpora(corpora), spec, limits, report, draws, cache, width)
    clips = Clips.of(data)
    found = []
    for done, held in enumerate(corpora):
        report("corpora", done, len(corpora))
        found.append(_corpus_trial(held, data, clips, network, report, output, epochs, seed))
    report("corpora", len(corpora), len(corpora))
    return found, data.left_out


def _corpus_trial(
    held: str,
    data: AudioData,
    everybody: Clips,
    network: str,
    report: Report,
    output: Path | None,
    epochs: int | None,
    seed: int,
) -> CorpusTrial:
    names = np.array([example.corpus for example in data.examples], np.str_)
    labels = _taught(everybody.emotions[names != held])
    shared = [label for label in labels if np.any(everybody.emotions[names == held] == label)]
    is_asked = np.isin(everybody.emotions, labels)
    judges = np.flatnonzero(is_asked & (names == held))
    if len(shared) < 2:
        raise NobodyJudges(what=f"by {held}", reason="the other corpora teach less than two of its emotions")
    within = np.flatnonzero(is_asked)
    clips = everybody.only(within)
    is_crossed = network == LINEAR or recipe_of(network).cross
    choosers = Choosers.ALL if is_crossed else Choosers.SOME
    speakers = sorted(set(clips.speakers[names[within] == held].tolist()))
    (fold,) = speaker_folds(clips, (), seed, [speakers], choosers)
    fold = replace(fold, name=f"all corpora but {held}")
    check(clips, fold)
    identity = _identity(network, epochs, data.spec, clips, fold)
    replies = Predictions.read(output, identity) if output is not None else None
    if replies is None:
        own = data.only(within.tolist())
        learn = _linear if network == LINEAR else _as_ever
        replies = learn(_Trial(own, clips, fold, labels, shared, network, epochs), report)
        if output is not None:
            replies.write(output, identity)
    aside = int((names == held).sum()) - len(judges)
    return CorpusTrial(held, labels, shared, aside, len(fold.train), replies)


def _taught(emotions: Words) -> list[str]:
    labels, counts = np.unique(emotions, return_counts=True)
    return [str(label) for label in labels[counts >= FEWEST_CLIPS]]


@dataclass(frozen=True, slots=True)
class _Trial:
    """One fold over corpora: who teaches and who judges, and what is trained. labels: the emotions that are
    taught; shared: those that may be told of the corpus that judges.
    """

    data: AudioData
    clips: Clips
    fold: Fold
    labels: list[str]
    shared: list[str]
    network: str
    epochs: int | None


def _linear(trial: _Trial, report: Report) -> Predictions:
    data, fold, labels = trial.data, trial.fold, trial.labels
    fold_data = FoldData.of(data, trial.clips, fold)
    part_of = fold_data.fold
    logits, chosen = [], []
    for done, part in enumerate(part_of.cross_validation):
        report("training", done, len(part_of.cross_validation) + 1)
        fitted = _fitted(fold_data, part.train, trial.epochs)
        logits.append(masked(fitted(fold_data.features[part.validation]), fold_data.asked[part.validation]))
        chosen.append(fold_data.classes(part.validation))
    known, classes = np.concatenate(logits), np.concatenate(chosen)
    temperature = fit_temperature(known, classes)
    confidences = softmax(known / temperature, axis=1).max(axis=1)
    threshold, _ = risk_threshold(confidences, known.argmax(axis=1) == classes)
    fitted = _fitted(fold_data, part_of.train, trial.epochs)
    report("training", len(part_of.cross_validation) + 1, len(part_of.cross_validation) + 1)
    told = probabilities(fitted(data.features[fold.test]), np.isin(labels, trial.shared), temperature)
    return _replied(trial, told, threshold)


def _fitted(fold_data: FoldData, train: Indices, steps: int | None) -> Linear:
    return Linear.fit(
        fold_data.features[train], fold_data.classes(train), fold_data.asked[train], steps or STEPS
    )


def _as_ever(trial: _Trial, report: Report) -> Predictions:
    config = TrainingConfig("", trial.network, seed=trial.fold.seed, epochs=trial.epochs)
    fold_data = FoldData.of(trial.data, trial.clips, trial.fold)
    result = recipe_of(trial.network).learn(fold_data, config, report, {})
    logits = result.logits(trial.data.features[trial.fold.test])
    may_be: Mask = np.isin(trial.labels, trial.shared)
    return _replied(trial, probabilities(logits, may_be, result.temperature), result.threshold)


def _replied(trial: _Trial, told: Values, threshold: float) -> Predictions:
    examples = [trial.data.examples[place] for place in trial.fold.test]
    accepted = told.max(axis=1) >= threshold
    outcomes = np.where(accepted, Outcome.CLASSIFIED, Outcome.REJECTED)
    return Predictions(
        paths=np.array([example.path for example in examples], np.str_),
        emotions=np.array([example.emotion for example in examples], np.str_),
        outcomes=outcomes.astype(np.str_),
        probabilities=told,
        labels=np.array(trial.labels, np.str_),
        threshold=np.array(threshold),
    )


def _identity(network: str, epochs: int | None, spec: FeatureSpec, clips: Clips, fold: Fold) -> str:
    """SHA-256 of all that replies follow from, but for the code."""
    columns = clips.twins, clips.emotions, clips.speakers
    parts: Sequence[Indices] = [
        indices for one in (fold, *fold.cross_validation) for indices in (one.train, one.validation, one.test)
    ]
    facts = [
        network, epochs, asdict(spec), fold.name, fold.seed,
        [[column[part].tolist() for column in columns] for part in parts],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
