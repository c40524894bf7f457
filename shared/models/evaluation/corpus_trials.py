"""The protocol `corpus`: train on all corpora but one and test on that one, by the emotions they share."""

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
from shared.models.data.audio_data import AudioData, Progress
from shared.models.data.classes import FEWEST_CLIPS
from shared.models.data.corpora import JoinedCorpora
from shared.models.data.datasets import Dataset
from shared.models.data.folds import Clips, Fold, Indices, Validation, Words, check
from shared.models.data.splits import speaker_folds
from shared.models.evaluation.predictions import Predictions
from shared.models.metrics.calibration import Values, fit_temperature
from shared.models.serving.rejection import risk_threshold
from shared.models.training.baseline import TrainingConfig
from shared.models.training.fold_data import FoldData, Mask
from shared.models.training.masked import STEPS, Linear, masked, probabilities
from shared.models.training.recipes import RECIPES, recipe_of

LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class CorpusTrial:
    """The result of one corpus that was held out.

    Attributes:
        corpus: its name.
        labels: the emotions of the training, sorted.
        shared: those of them that the corpus has too.
        other_clips: how many of its clips have other emotions, about which no answer can be right.
        train_clips: how many clips were trained on.
        predictions: for its clips of shared emotions.
    """

    corpus: str
    labels: list[str]
    shared: list[str]
    other_clips: int
    train_clips: int
    predictions: Predictions


def corpus_trials(
    corpora: dict[str, Dataset],
    network: str,
    limits: DecodeLimits,
    report: Progress,
    output: Path | None = None,
    cache: Path | None = None,
    epochs: int | None = None,
    seed: int = 42,
) -> tuple[list[CorpusTrial], tuple[str, ...]]:
    """Hold each corpus out in turn.

    Temperature and threshold come from the training corpora: from a cross-validation where the recipe has
    one, else from some of their speakers. Clips whose duplicate is tested are not trained on.

    Args:
        corpora: by name.
        network: `linear`, a logistic regression on v8-small's statistics, or a key of `RECIPES`.
        limits: of decoding.
        report: called as report(stage, done, total).
        output: a folder whose finished trials are taken over.
        cache: a folder for features.
        epochs: of each training at most; None: the network's own number.
        seed: of splits and weights.

    Returns:
        The trials, and a sentence for each recording that could not be used.

    Raises:
        TooFewCorpora: there is only one.
        UnknownNetwork: there is no such network.
        NobodyJudges: a corpus shares less than two emotions with the others.
    """
    if len(corpora) < 2:
        raise TooFewCorpora
    if network not in (LINEAR, *RECIPES):
        raise UnknownNetwork(network=network, known=", ".join((LINEAR, *RECIPES)))
    spec: FeatureSpec = VOICE_V7
    n_copies = 0
    if network != LINEAR:
        spec, n_copies = recipe_of(network).read_spec, recipe_of(network).copies
    width = VOICE_V7.statistics if network == LINEAR else None
    data = feature_cache.load_joined(JoinedCorpora(corpora), spec, limits, report, n_copies, cache, width)
    clips = Clips.of(data)
    found = []
    for done, held_out in enumerate(corpora):
        report("corpora", done, len(corpora))
        found.append(_corpus_trial(held_out, data, clips, network, report, output, epochs, seed))
    report("corpora", len(corpora), len(corpora))
    return found, data.left_out


def _corpus_trial(
    held_out: str,
    data: AudioData,
    all_clips: Clips,
    network: str,
    report: Progress,
    output: Path | None,
    epochs: int | None,
    seed: int,
) -> CorpusTrial:
    names = np.array([example.corpus for example in data.examples], np.str_)
    labels = _training_labels(all_clips.emotions[names != held_out])
    shared = [label for label in labels if np.any(all_clips.emotions[names == held_out] == label)]
    is_shared_label = np.isin(all_clips.emotions, labels)
    test_places = np.flatnonzero(is_shared_label & (names == held_out))
    if len(shared) < 2:
        raise NobodyJudges(
            what=f"by {held_out}", reason="the other corpora teach less than two of its emotions"
        )
    within = np.flatnonzero(is_shared_label)
    clips = all_clips.only(within)
    is_cross_validated = network == LINEAR or recipe_of(network).cross_validated
    validation = Validation.CROSS if is_cross_validated else Validation.HELD_OUT
    speakers = sorted(set(clips.speakers[names[within] == held_out].tolist()))
    (fold,) = speaker_folds(clips, (), seed, [speakers], validation)
    fold = replace(fold, name=f"all corpora but {held_out}")
    check(clips, fold)
    identity = _identity(network, epochs, data.spec, clips, fold)
    predictions = Predictions.read(output, identity) if output is not None else None
    if predictions is None:
        own = data.only(within.tolist())
        learn = _predicted_by_linear if network == LINEAR else _predicted_by_recipe
        predictions = learn(_Trial(own, clips, fold, labels, shared, network, epochs), report)
        if output is not None:
            predictions.write(output, identity)
    other_clips = int((names == held_out).sum()) - len(test_places)
    return CorpusTrial(held_out, labels, shared, other_clips, len(fold.train), predictions)


def _training_labels(emotions: Words) -> list[str]:
    labels, counts = np.unique(emotions, return_counts=True)
    return [str(label) for label in labels[counts >= FEWEST_CLIPS]]


@dataclass(frozen=True, slots=True)
class _Trial:
    """What one trial trains and tests.

    Attributes:
        data: of all corpora.
        clips: of the data.
        fold: which train and which test.
        labels: the emotions of the training.
        shared: the emotions that an answer may have.
        network: its name.
        epochs: of the training at most.
    """

    data: AudioData
    clips: Clips
    fold: Fold
    labels: list[str]
    shared: list[str]
    network: str
    epochs: int | None


def _predicted_by_linear(trial: _Trial, report: Progress) -> Predictions:
    data, fold, labels = trial.data, trial.fold, trial.labels
    fold_data = FoldData.of(data, trial.clips, fold)
    part_of = fold_data.fold
    logits, true_classes = [], []
    for done, part in enumerate(part_of.cross_validation):
        report("training", done, len(part_of.cross_validation) + 1)
        fitted = _fitted_linear(fold_data, part.train, trial.epochs)
        logits.append(
            masked(fitted(fold_data.features[part.validation]), fold_data.available[part.validation])
        )
        true_classes.append(fold_data.classes(part.validation))
    known, classes = np.concatenate(logits), np.concatenate(true_classes)
    temperature = fit_temperature(known, classes)
    confidences = softmax(known / temperature, axis=1).max(axis=1)
    threshold, _ = risk_threshold(confidences, known.argmax(axis=1) == classes)
    fitted = _fitted_linear(fold_data, part_of.train, trial.epochs)
    report("training", len(part_of.cross_validation) + 1, len(part_of.cross_validation) + 1)
    found = probabilities(fitted(data.features[fold.test]), np.isin(labels, trial.shared), temperature)
    return _predictions(trial, found, threshold)


def _fitted_linear(fold_data: FoldData, train: Indices, steps: int | None) -> Linear:
    return Linear.fit(
        fold_data.features[train], fold_data.classes(train), fold_data.available[train], steps or STEPS
    )


def _predicted_by_recipe(trial: _Trial, report: Progress) -> Predictions:
    config = TrainingConfig("", trial.network, seed=trial.fold.seed, epochs=trial.epochs)
    fold_data = FoldData.of(trial.data, trial.clips, trial.fold)
    result = recipe_of(trial.network).train(fold_data, config, report, {})
    logits = result.logits(trial.data.features[trial.fold.test])
    may_be: Mask = np.isin(trial.labels, trial.shared)
    return _predictions(trial, probabilities(logits, may_be, result.temperature), result.threshold)


def _predictions(trial: _Trial, found: Values, threshold: float) -> Predictions:
    examples = [trial.data.examples[place] for place in trial.fold.test]
    accepted = found.max(axis=1) >= threshold
    outcomes = np.where(accepted, Outcome.CLASSIFIED, Outcome.REJECTED)
    return Predictions(
        paths=np.array([example.path for example in examples], np.str_),
        emotions=np.array([example.emotion for example in examples], np.str_),
        outcomes=outcomes.astype(np.str_),
        probabilities=found,
        labels=np.array(trial.labels, np.str_),
        threshold=np.array(threshold),
    )


def _identity(network: str, epochs: int | None, spec: FeatureSpec, clips: Clips, fold: Fold) -> str:
    """SHA-256 of everything that predictions follow from, but for the code."""
    columns = clips.twins, clips.emotions, clips.speakers
    parts: Sequence[Indices] = [
        indices for one in (fold, *fold.cross_validation) for indices in (one.train, one.validation, one.test)
    ]
    facts = [
        network, epochs, asdict(spec), fold.name, fold.seed,
        [[column[part].tolist() for column in columns] for part in parts],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
