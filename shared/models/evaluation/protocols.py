"""The protocols `seed`, `speaker` and `open-set` of `voxmood evaluate`; each fold is stored as it ends.

Training and testing are two functions. Training gets the FoldData of a fold and nothing else, so no
statistic, epoch, temperature or threshold can come from the test part; which clips the parts hold is checked
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
from shared.models.data.audio_data import AudioData, Progress
from shared.models.data.datasets import Example, Recordings, channel
from shared.models.data.folds import Clips, Fold, Indices, Validation, check
from shared.models.data.splits import baseline_fold, read_folds, speaker_folds
from shared.models.evaluation.fold_results import FoldFacts, FoldOutputs, FoldResult, Part
from shared.models.evaluation.plan import EvaluationPlan, Protocol
from shared.models.serving.encoders import feature_maker
from shared.models.training.baseline import TrainingConfig
from shared.models.training.fit_result import FitResult, Fits
from shared.models.training.fold_data import FoldData
from shared.models.training.recipes import NetworkRecipe, recipe_of

FIRST_SEED = 42
NON_SPEECH_CLIPS, NON_SPEECH_S = 20, 3.0  # of each kind


def evaluate(
    recordings: Recordings,
    plan: EvaluationPlan,
    output: Path,
    limits: DecodeLimits,
    report: Progress,
    cache: Path | None = None,
) -> tuple[list[FoldResult], AudioData]:
    """Run every fold that `output` does not hold yet.

    Args:
        recordings: labelled ones.
        plan: protocol, network and settings.
        output: the folder of finished folds.
        limits: of decoding.
        report: called as report(stage, done, total) with the stages features, folds and training.
        cache: a folder for features, which the next evaluation of the same recordings uses.

    Returns:
        The results of all folds, and the data that they are about.

    Raises:
        UnknownNetwork: there is no such network; raised before any work, as the next one is.
        TooFewUnknowns: open-set has less than two unknown emotions.
        WrongFolds: the file of folds is wrong; raised before any training, as the next three are.
        TooFewRecordings: an emotion or a part has too few clips.
        TooFewSpeakers: there are too few speakers.
        Leak: the parts of a fold are not separate.
    """
    recipe = recipe_of(plan.network)
    if plan.protocol is Protocol.OPEN_SET and len(set(plan.drop)) < 2:
        raise TooFewUnknowns
    data = feature_cache.load(
        recordings, recordings.examples, recipe.read_spec, limits, report, recipe.copies, cache
    )
    clips = Clips.of(data)
    folds = folds_of(plan, clips)
    for fold in folds:
        check(clips, fold)
    non_speech = _non_speech_data(recipe.spec) if plan.protocol is Protocol.OPEN_SET else None
    results: list[FoldResult] = []
    fits: Fits = {}
    for done, fold in enumerate(folds):
        report("folds", done, len(folds))
        identity = _identity(plan, recipe, clips, fold)
        outputs = FoldResult.read(output, identity)
        if outputs is None:
            config = TrainingConfig("", plan.network, seed=fold.seed, epochs=plan.epochs)
            result = recipe.train(FoldData.of(data, clips, fold), config, report, fits)
            outputs = _tested(result, data, clips, fold, non_speech, identity)
            outputs.write(output)
        results.append(outputs)
    report("folds", len(folds), len(folds))
    return results, data


def validation_of(plan: EvaluationPlan) -> Validation:
    """How the training side is divided under a plan."""
    if not recipe_of(plan.network).cross_validated:
        return Validation.HELD_OUT
    # Only open-set asks how sure a network is, and a fit for each part takes three times as long again.
    return Validation.CROSS if plan.protocol is Protocol.OPEN_SET else Validation.NONE


def folds_of(plan: EvaluationPlan, clips: Clips) -> list[Fold]:
    """The folds of all seeds."""
    groups = read_folds(plan.folds, clips) if plan.folds else None
    validation = validation_of(plan)
    folds: list[Fold] = []
    for seed in range(FIRST_SEED, FIRST_SEED + plan.seeds):
        if plan.protocol is Protocol.BASELINE:
            folds.append(baseline_fold(clips, plan.drop, seed, validation))
            if plan.select_on_test:
                folds.append(baseline_fold(clips, plan.drop, seed, select_on_test=True))
        else:
            folds += speaker_folds(clips, plan.drop, seed, groups, validation)
    return folds


def _tested(
    result: FitResult, data: AudioData, clips: Clips, fold: Fold, non_speech: AudioData | None, identity: str
) -> FoldResult:
    def outputs_of(source: AudioData, indices: Indices) -> FoldOutputs:
        examples = [source.examples[index] for index in indices]
        return FoldOutputs(
            logits=result.logits(source.features[indices]),
            paths=np.array([example.path for example in examples], np.str_),
            emotions=np.array([example.emotion for example in examples], np.str_),
            channels=np.array([channel(example) or "" for example in examples], np.str_),
        )

    parts = {Part.TEST: fold.test, Part.UNKNOWN: fold.unknown}
    outputs = {name: outputs_of(data, indices) for name, indices in parts.items()}
    if non_speech is not None:
        outputs[Part.NON_SPEECH] = outputs_of(non_speech, np.arange(len(non_speech.examples)))
    facts = FoldFacts(
        identity=identity,
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
    return FoldResult(facts, outputs)


def _non_speech_data(spec: FeatureSpec) -> AudioData:
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
    """SHA-256 of everything that the result of a fold follows from, but for the code."""
    facts = [
        plan.protocol,
        plan.network,
        plan.epochs,
        asdict(recipe.read_spec),
        recipe.copies,
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
