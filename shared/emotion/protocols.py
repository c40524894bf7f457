"""`voxmood evaluate`: what a network is worth, asked in three ways, each fold stored as it ends.

Learning and judging are two functions. `learn` is handed the learning part of a fold and nothing else, so no
statistic, epoch, temperature or threshold can come from what judges; which clips those parts hold is checked
before (`folds.check`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from shared.audio.decode import DecodeLimits
from shared.audio.features import features, fixed_length
from shared.audio.spec import FeatureSpec
from shared.audio.synthesis import NON_SPEECH, non_speech
from shared.emotion.backend import load_keras
from shared.emotion.calibration import SCORES, Logits, Values, fit_temperature
from shared.emotion.datasets import AudioData, Example, Recordings, channel, load_audio_data
from shared.emotion.folds import Clips, Fold, Indices, Words, check, read_folds, seed_fold, speaker_folds
from shared.emotion.networks import spec_of
from shared.emotion.outcomes import Finding, Heard, Outcome, Threshold
from shared.emotion.questions import Protocol, Question
from shared.emotion.registry import Speakers
from shared.emotion.rejection import risk_threshold, seed_threshold
from shared.emotion.training import Parts, Recipe, Report, fit
from shared.errors.models import TooFewUnknowns

FIRST_SEED = 42
NON_SPEECH_CLIPS = 20  # of each kind


@dataclass(frozen=True, slots=True)
class Learnt:
    """All that a fold learns or chooses. digest: SHA-256 of weights, temperature and thresholds."""

    logits: Logits
    temperature: float
    thresholds: list[Threshold]
    epochs: int
    best_epoch: int
    train_accuracy: float
    digest: str


def evaluate(
    recordings: Recordings, question: Question, output: Path, limits: DecodeLimits, report: Report
) -> tuple[list[Outcome], AudioData]:
    """Run every fold that `output` does not hold yet; all outcomes, and the clips that they are about.

    report(stage, done, total) follows the course in the stages features, folds and training. Raises
    UnknownNetwork and TooFewUnknowns before any work, then WrongFolds, TooFewRecordings, TooFewSpeakers or
    Leak before any training.
    """
    spec = spec_of(question.network)
    if question.protocol is Protocol.OPEN_SET and len(set(question.drop)) < 2:
        raise TooFewUnknowns
    data = _load(recordings, spec, limits, report)
    clips = Clips.of(data)
    folds = folds_of(question, clips)
    for fold in folds:
        check(clips, fold)
    foreign = _foreign(spec) if question.protocol is Protocol.OPEN_SET else None
    outcomes = []
    for done, fold in enumerate(folds):
        report("folds", done, len(folds))
        finding_id = _identity(question, spec, clips, fold)
        outcome = Outcome.read(output, finding_id)
        if outcome is None:
            recipe = Recipe("", question.network, seed=fold.seed, epochs=question.epochs)
            learnt = learn(learning_part(data, clips, fold), clips.emotions[fold.tuning], recipe, report)
            outcome = _judge(learnt, data, clips, fold, foreign, finding_id)
            outcome.write(output)
        outcomes.append(outcome)
    report("folds", len(folds), len(folds))
    return outcomes, data


def folds_of(question: Question, clips: Clips) -> list[Fold]:
    """The folds of all seeds."""
    groups = read_folds(question.folds, clips) if question.folds else None
    folds: list[Fold] = []
    for seed in range(FIRST_SEED, FIRST_SEED + question.seeds):
        if question.protocol is Protocol.SEED:
            folds.append(seed_fold(clips, question.drop, seed))
            if question.select_on_test:
                folds.append(seed_fold(clips, question.drop, seed, select_on_test=True))
        else:
            folds += speaker_folds(clips, question.drop, seed, groups)
    return folds


def learning_part(data: AudioData, clips: Clips, fold: Fold) -> Parts:
    """What `learn` may see; its `test` is the part that chooses, its `unknown` the one for the thresholds."""
    labels = np.unique(clips.emotions[fold.train])
    return Parts(
        labels=labels.tolist(),
        train=data.features[fold.train],
        train_classes=np.searchsorted(labels, clips.emotions[fold.train]),
        test=data.features[fold.inner],
        test_classes=np.searchsorted(labels, clips.emotions[fold.inner]),
        unknown=data.features[fold.tuning],
        speakers=Speakers(
            training=np.unique(clips.speakers[fold.train]).tolist(),
            test=np.unique(clips.speakers[fold.inner]).tolist(),
            reserve=[],
        ),
    )


def learn(parts: Parts, unknown_emotions: Words, recipe: Recipe, report: Report) -> Learnt:
    """Weights, temperature and thresholds of one fold; the same for the same parts and seed.

    unknown_emotions: of parts.unknown, (n,); each of them sets thresholds of its own.
    """
    load_keras().backend.clear_session()
    with TemporaryDirectory() as folder:
        trained = fit(parts, recipe, Path(folder) / "best.keras", report)
    logits = Logits(trained.network)
    inner, unknown = logits(parts.test), logits(parts.unknown)
    temperature = fit_temperature(inner, parts.test_classes)
    is_right = inner.argmax(axis=1) == parts.test_classes
    thresholds = [
        threshold
        for emotion in np.unique(unknown_emotions).tolist()
        for threshold in _thresholds(
            emotion, inner, is_right, unknown[unknown_emotions == emotion], temperature
        )
    ]
    digest = hashlib.sha256()
    for weights in trained.network.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    digest.update(repr((trained.best_epoch, temperature, thresholds)).encode())
    predicted = logits(parts.train).argmax(axis=1)
    return Learnt(
        logits,
        temperature,
        thresholds,
        epochs=len(trained.history["loss"]),
        best_epoch=trained.best_epoch,
        train_accuracy=float((predicted == parts.train_classes).mean()),
        digest=digest.hexdigest(),
    )


def _thresholds(
    emotion: str, known: Values, is_right: np.ndarray[Any, Any], unknown: Values, temperature: float
) -> list[Threshold]:
    """By each rule, from clips that did not fit the weights; an unknown emotion's clip is never right."""
    top = SCORES["top probability"]
    value, unclipped = seed_threshold(top(unknown, temperature))
    found = [
        Threshold(set_on=emotion, rule="seed", score="top probability", value=value,
                  is_reached=unclipped == value)
    ]  # fmt: skip
    right = np.concatenate([is_right, np.zeros(len(unknown), bool)])
    for score, of in SCORES.items():
        values = np.concatenate([of(known, temperature), of(unknown, temperature)])
        value, is_reached = risk_threshold(values, right)
        found.append(Threshold(set_on=emotion, rule="risk", score=score, value=value, is_reached=is_reached))
    return found


def _judge(
    learnt: Learnt, data: AudioData, clips: Clips, fold: Fold, foreign: AudioData | None, finding_id: str
) -> Outcome:
    def heard(of: AudioData, indices: Indices) -> Heard:
        examples = [of.examples[index] for index in indices]
        return Heard(
            logits=learnt.logits(of.features[indices]),
            paths=np.array([example.path for example in examples], np.str_),
            emotions=np.array([example.emotion for example in examples], np.str_),
            channels=np.array([channel(example) or "" for example in examples], np.str_),
        )

    parts = {"inner": fold.inner, "tuning": fold.tuning, "test": fold.test, "unknown": fold.unknown}
    outcome = {name: heard(data, indices) for name, indices in parts.items()}
    if foreign is not None:
        outcome["non_speech"] = heard(foreign, np.arange(len(foreign.examples)))
    finding = Finding(
        identity=finding_id,
        name=fold.name,
        seed=fold.seed,
        selects_on_test=fold.selects_on_test,
        labels=np.unique(clips.emotions[fold.train]).tolist(),
        train_clips=len(fold.train),
        temperature=learnt.temperature,
        thresholds=learnt.thresholds,
        epochs=learnt.epochs,
        best_epoch=learnt.best_epoch,
        train_accuracy=learnt.train_accuracy,
        digest=learnt.digest,
    )
    return Outcome(finding, outcome)


def _load(recordings: Recordings, spec: FeatureSpec, limits: DecodeLimits, report: Report) -> AudioData:
    done = 0

    def advance(clips: int) -> None:
        nonlocal done
        done += clips
        report("features", done, len(recordings.examples))

    return load_audio_data(recordings, recordings.examples, spec, limits, advance)


def _foreign(spec: FeatureSpec) -> AudioData:
    """Sounds without a voice, the same for every fold."""
    examples, samples = [], []
    for kind in NON_SPEECH:
        for seed in range(NON_SPEECH_CLIPS):
            sound = non_speech(kind, spec.sampling_rate, spec.seconds, seed)
            examples.append(Example(f"{kind} {seed}", kind, "nobody"))
            samples.append(fixed_length(sound, spec))
    return AudioData(features(np.stack(samples), spec), tuple(examples), ())


def _identity(question: Question, spec: FeatureSpec, clips: Clips, fold: Fold) -> str:
    """SHA-256 of all that a fold's outcome follows from, but for the code."""
    columns = clips.twins, clips.emotions, clips.speakers
    names = "train", "inner", "tuning", "test", "unknown"
    parts = [[column[getattr(fold, name)].tolist() for column in columns] for name in names]
    facts = [question.protocol, question.network, question.epochs, asdict(spec), fold.seed, fold.name, parts]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
