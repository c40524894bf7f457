"""`voxmood evaluate`: what a network is worth, asked in three ways, each fold stored as it ends.

Learning and judging are two functions. Who learns is handed the fold's Lesson and nothing else, so no
statistic, epoch, temperature or threshold can come from what judges; which clips those parts hold is checked
before (`folds.check`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from shared.audio.features import fixed_length
from shared.audio.limits import DecodeLimits
from shared.audio.spec import FeatureSpec
from shared.audio.synthesis import NON_SPEECH, non_speech
from shared.core.errors.models import TooFewUnknowns
from shared.models.data import feature_cache
from shared.models.data.audio_data import AudioData
from shared.models.data.datasets import Example, Recordings, channel
from shared.models.data.folds import (
    Choosers,
    Clips,
    Fold,
    Indices,
    check,
    read_folds,
    seed_fold,
    speaker_folds,
)
from shared.models.evaluation.fold_results import FoldFacts, FoldOutputs, FoldResult
from shared.models.evaluation.plan import EvaluationPlan, Protocol
from shared.models.serving.encoders import feature_maker
from shared.models.training.baseline import Report, TrainingConfig
from shared.models.training.fit_result import FitResult, Fits, FoldData
from shared.models.training.recipes import NetworkRecipe, recipe_of

FIRST_SEED = 42
NON_SPEECH_CLIPS, NON_SPEECH_S = 20, 3.0  # of each kind


def evaluate(
    recordings: Recordings,
    plan: EvaluationPlan,
    output: Path,
    limits: DecodeLimits,
    report: Report,
    cache: Path | None = None,
) -> tuple[list[FoldResult], AudioData]:
    """Run every fold that `output` does not hold yet; all outcomes, and the clips that they are about.
    cache: a folder for features, which the next question about the same recordings takes over.

    report(stage, done, total) follows the course in the stages features, folds and training. Raises
    UnknownNetwork and TooFewUnknowns before any work, then WrongFolds, TooFewRecordings, TooFewSpeakers or
    Leak before any training.
    """
    recipe = recipe_of(plan.network)
    if plan.protocol is Protocol.OPEN_SET and len(set(plan.drop)) < 2:
        raise TooFewUnknowns
    data = feature_cache.load(
        recordings, recordings.examples, recipe.read, limits, report, recipe.draws, cache
    )
    clips = Clips.of(data)
    folds = folds_of(plan, clips)
    for fold in folds:
        check(clips, fold)
    foreign = _foreign(recipe.spec) if plan.protocol is Protocol.OPEN_SET else None
    outcomes: list[FoldResult] = []
    fits: Fits = {}
    for done, fold in enumerate(folds):
        report("folds", done, len(folds))
        finding_id = _identity(plan, recipe, clips, fold)
        outcome = FoldResult.read(output, finding_id)
        if outcome is None:
            config = TrainingConfig("", plan.network, seed=fold.seed, epochs=plan.epochs)
            result = recipe.learn(FoldData.of(data, clips, fold), config, report, fits)
            outcome = _judge(result, data, clips, fold, foreign, finding_id)
            outcome.write(output)
        outcomes.append(outcome)
    report("folds", len(folds), len(folds))
    return outcomes, data


def choosers_of(plan: EvaluationPlan) -> Choosers:
    """Who chooses on the learning side."""
    if not recipe_of(plan.network).cross:
        return Choosers.SOME
    # Only open-set asks how sure a network is, and a fit for each part takes three times as long again.
    return Choosers.ALL if plan.protocol is Protocol.OPEN_SET else Choosers.NOBODY


def folds_of(plan: EvaluationPlan, clips: Clips) -> list[Fold]:
    """The folds of all seeds."""
    groups = read_folds(plan.folds, clips) if plan.folds else None
    choosers = choosers_of(plan)
    folds: list[Fold] = []
    for seed in range(FIRST_SEED, FIRST_SEED + plan.seeds):
        if plan.protocol is Protocol.SEED:
            folds.append(seed_fold(clips, plan.drop, seed, choosers))
            if plan.select_on_test:
                folds.append(seed_fold(clips, plan.drop, seed, select_on_test=True))
        else:
            folds += speaker_folds(clips, plan.drop, seed, groups, choosers)
    return folds


def _judge(
    result: FitResult, data: AudioData, clips: Clips, fold: Fold, foreign: AudioData | None, finding_id: str
) -> FoldResult:
    def heard(of: AudioData, indices: Indices) -> FoldOutputs:
        examples = [of.examples[index] for index in indices]
        return FoldOutputs(
            logits=result.logits(of.features[indices]),
            paths=np.array([example.path for example in examples], np.str_),
            emotions=np.array([example.emotion for example in examples], np.str_),
            channels=np.array([channel(example) or "" for example in examples], np.str_),
        )

    parts = {"test": fold.test, "unknown": fold.unknown}
    outcome = {name: heard(data, indices) for name, indices in parts.items()}
    if foreign is not None:
        outcome["non_speech"] = heard(foreign, np.arange(len(foreign.examples)))
    finding = FoldFacts(
        identity=finding_id,
        name=fold.name,
        seed=fold.seed,
        selects_on_test=fold.selects_on_test,
        labels=np.unique(clips.emotions[fold.train]).tolist(),
        train_clips=len(fold.train),
        temperature=result.temperature,
        thresholds=result.thresholds,
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        train_accuracy=result.train_accuracy,
        digest=result.digest,
    )
    return FoldResult(finding, outcome)


def _foreign(spec: FeatureSpec) -> AudioData:
    """Sounds without a voice, the same for every fold."""
    examples, samples = [], []
    for kind in NON_SPEECH:
        for seed in range(NON_SPEECH_CLIPS):
            sound = non_speech(kind, spec.sampling_rate, NON_SPEECH_S, seed)
            examples.append(Example(f"{kind} {seed}", kind, "nobody"))
            samples.append(fixed_length(sound, spec))
    together = feature_maker(spec)(np.stack(samples))
    no_copies = np.empty((0, *together.shape), np.float16)
    return AudioData(spec, together, no_copies, tuple(examples), ())


def _identity(plan: EvaluationPlan, recipe: NetworkRecipe, clips: Clips, fold: Fold) -> str:
    """SHA-256 of all that a fold's outcome follows from, but for the code."""
    facts = [
        plan.protocol,
        plan.network,
        plan.epochs,
        asdict(recipe.read),
        recipe.draws,
        _facts(clips, [fold]),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _facts(clips: Clips, folds: Sequence[Fold]) -> list[object]:
    columns = clips.twins, clips.emotions, clips.speakers
    names = "train", "validation", "unknown_validation", "test", "unknown"
    return [
        [fold.seed, fold.name, _facts(clips, fold.cross_validation)]
        + [column[getattr(fold, name)].tolist() for name in names for column in columns]
        for fold in folds
    ]
