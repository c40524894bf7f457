"""Train on all clips and measure: on a random fifth, as the baseline does, or by cross-validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.audio.features import Floats
from shared.models.data.audio_data import AudioData, Progress
from shared.models.data.folds import Clips, Indices, check
from shared.models.data.splits import training_fold
from shared.models.metrics.calibration import SCORES, Reliability, Values
from shared.models.metrics.scores import scores
from shared.models.serving.manifest import RANDOM_FIFTH, Metrics, Speakers, ThresholdRule
from shared.models.serving.rejection import RISK_TARGET, RiskCoverage, baseline_threshold
from shared.models.training.baseline import TrainingConfig, build_classifier, fit, split
from shared.models.training.fit_result import TOP, ValidationOutputs
from shared.models.training.fold_data import FoldData
from shared.models.training.recipes import RECIPES

CAVEATS = [
    "The split is random over clips: each speaker is on both sides, and where a sentence was recorded "
    "twice, mostly with one take on each. On new speakers the accuracy is far lower.",
    "As in the seed, early stopping chose the epoch on the test part, which flatters its figures.",
]
SATURATED = (
    "The threshold rule saturates: it gave {unclipped:.2f} and was clipped to {threshold:.2f}, so that its "
    "bound decides and not the data; it rejects {rejected:.0%} of the test clips."
)
OTHER_SPEAKERS = "the clips of all who learn, each speaker's by networks that the others taught"
OTHER_SPEAKERS_OF = "the clips of {corpus} that learn, each speaker's by networks that the others taught"
FOREIGN = (
    "Recordings of another kind are another matter. Of {corpus}, by networks that had heard nothing of it, "
    "{right:.0%} of the answers were right; {accepted:.1%} were accepted{of_these}."
)
OTHER_CLIPS = "all clips, each by networks that other clips taught"
ONE_SPEAKER = (
    "Nobody said that there is more than one speaker, so the clips were divided at random to judge each "
    "other: on new speakers the accuracy is far lower."
)
OUT_OF_FOLD = [
    "These figures are out-of-fold: {judged}. The network of this version has heard them all.",
    "The temperature and the threshold come from the same answers, which flatters the share of right ones "
    "among those accepted a little; `voxmood evaluate` holds speakers out of these choices too.",
]
OUT_OF_REACH = (
    "No threshold leaves {target:.0%} wrong among the accepted; this one leaves the fewest at a coverage of "
    "0.2 or more."
)


@dataclass(frozen=True, slots=True)
class Confidences:
    """The confidences of the clips that were tested.

    Attributes:
        known: of n clips of known emotions, shape (n,).
        are_right: whether each answer was right, shape (n,).
        unknown: of m clips of unknown emotions, where no answer is right, shape (m,).
    """

    known: NDArray[np.floating]
    are_right: NDArray[np.bool_]
    unknown: NDArray[np.floating]

    def curves(self) -> dict[str, RiskCoverage]:
        """Risk and coverage on the known clips and, where there are unknown ones, on all."""
        curves = {"known emotions": RiskCoverage.of(self.known, self.are_right)}
        if len(self.unknown):
            curves["with unknown ones, all wrong"] = RiskCoverage.of(*self.together())
        return curves

    def together(self) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """The confidences of all clips, and whether each answer was right."""
        never = np.zeros(len(self.unknown), bool)
        return np.concatenate([self.known, self.unknown]), np.concatenate([self.are_right, never])


@dataclass(frozen=True, slots=True)
class TrainedVersion:
    """What the training of a version results in.

    Attributes:
        network: in Keras.
        labels: the known emotions.
        judged: a phrase that says which clips the metrics are of.
        temperature: that the logits have been divided by.
        threshold: below it an answer is rejected.
        rule: that gave the threshold.
        metrics: of the version.
        answers: the confidences that the metrics are of.
        speakers: in training and test.
        sides: how many clips were there to train, to test, and of unknown emotions.
        class_weights: by label; empty where there are none.
        caveats: what the metrics do not show.
        history: of the fit, by epoch.
    """

    network: Any
    labels: list[str]
    judged: str
    temperature: float
    threshold: float
    rule: ThresholdRule
    metrics: Metrics
    answers: Confidences
    speakers: Speakers
    sides: tuple[int, int, int]
    class_weights: dict[str, float]
    caveats: list[str]
    history: Mapping[str, Sequence[float]]


def baseline_version(
    data: AudioData, config: TrainingConfig, folder: Path, report: Progress
) -> TrainedVersion:
    """Train as the baseline does.

    A random fifth of the clips is the test part and selects the epoch; the unknown emotions set the
    threshold.

    Args:
        data: of all clips.
        config: seed, epochs and unknown emotions.
        folder: where the checkpoint is written.
        report: called as report(stage, done, total).
    """
    parts = split(data, config)
    fitted = fit(parts, config, folder / f"{config.version}_best.keras", report)
    is_unknown = np.isin([example.emotion for example in data.examples], list(config.drop))
    test, unknown, train = (
        _probabilities(fitted.network, inputs)
        for inputs in (parts.test, data.features[is_unknown], parts.train)
    )
    threshold, unclipped = baseline_threshold(unknown.max(axis=1))
    predicted = test.argmax(axis=1)
    answers = Confidences(test.max(axis=1), predicted == parts.test_classes, unknown.max(axis=1))
    metrics = _metrics(
        parts.test_classes, predicted, parts.labels, answers, threshold,
        train_accuracy=float((train.argmax(axis=1) == parts.train_classes).mean()),
        epochs=len(fitted.history["loss"]), best_epoch=fitted.best_epoch,
    )  # fmt: skip
    caveats = list(CAVEATS)
    if unclipped is not None and unclipped > threshold:
        caveats.append(SATURATED.format(unclipped=unclipped, threshold=threshold, rejected=metrics.rejected))
    network = build_classifier(parts.train.shape[1:], len(parts.labels))
    network.set_weights(fitted.network.get_weights())  # without its optimizer's state: 0.5 MB, not 1.4
    return TrainedVersion(
        network,
        parts.labels,
        judged=RANDOM_FIFTH,
        temperature=1.0,
        threshold=threshold,
        rule=ThresholdRule(
            name="seed",
            text="95th percentile of the unknown emotions' confidence + 0.05, within 0.60 and 0.85; "
            "0.70 without unknowns",
            unknown_clips=len(unknown),
            unclipped=unclipped,
        ),
        metrics=metrics,
        answers=answers,
        speakers=parts.speakers,
        sides=(len(parts.train), len(parts.test), len(unknown)),
        class_weights={parts.labels[index]: weight for index, weight in fitted.class_weights.items()},
        caveats=caveats,
        history=fitted.history,
    )


def cross_validated_version(
    data: AudioData, config: TrainingConfig, _folder: Path, report: Progress
) -> TrainedVersion:
    """Train on all clips; temperature, threshold and metrics come from a cross-validation over the speakers.

    Where all clips have the same speaker, as labels that name none have, each clip counts as a speaker.

    Args:
        data: of all clips.
        config: seed, epochs and unknown emotions.
        _folder: not used.
        report: called as report(stage, done, total).
    """
    clips = Clips.of(data)
    trained_speakers = np.unique(clips.speakers).tolist()
    has_several_speakers = len(trained_speakers) > 1
    if not has_several_speakers:
        clips = replace(clips, speakers=clips.twins)
    judged = OTHER_SPEAKERS if has_several_speakers else OTHER_CLIPS
    if clips.is_foreign.any():
        judged = OTHER_SPEAKERS_OF.format(corpus=clips.corpora[~clips.is_foreign][0])
    fold = training_fold(clips, config.drop, config.seed)
    check(clips, fold)
    fold_data = FoldData.of(data, clips, fold)
    result = RECIPES[config.network].train(fold_data, config, report, None)
    validation, n_labels = result.validation, len(fold_data.labels)
    known, unknown = (
        SCORES[TOP](outputs.logits, result.temperature, n_labels)
        for outputs in (validation.known, validation.unknown)
    )
    predicted = validation.known.logits.argmax(axis=1)
    of_all = Confidences(known, predicted == validation.classes, unknown)
    threshold = result.threshold
    as_they_are = ~validation.known.is_copy & ~validation.known.is_foreign
    predicted, classes = predicted[as_they_are], validation.classes[as_they_are]
    unaltered = ~validation.unknown.is_copy & ~validation.unknown.is_foreign
    answers = Confidences(known[as_they_are], predicted == classes, unknown[unaltered])
    caveats = [caveat.format(judged=judged) for caveat in OUT_OF_FOLD]
    caveats += _of_foreign(validation, known, threshold)
    if not has_several_speakers:
        caveats.append(ONE_SPEAKER)
    if not result.is_reached:
        caveats.append(OUT_OF_REACH.format(target=RISK_TARGET))
    return TrainedVersion(
        tempered(result.network, result.temperature),
        fold_data.labels,
        judged=judged,
        temperature=result.temperature,
        threshold=threshold,
        rule=ThresholdRule(
            name="risk",
            text=f"the most accepted with {RISK_TARGET:.0%} of it wrong, unknown emotions counted as wrong",
            unknown_clips=len(answers.unknown),
            unclipped=None,
            curve=RiskCoverage.of(*of_all.together()).points(),
        ),
        metrics=_metrics(
            classes, predicted, fold_data.labels, answers, threshold,
            train_accuracy=result.train_accuracy, epochs=result.epochs, best_epoch=result.best_epoch,
        ),
        answers=answers,
        speakers=Speakers(training=trained_speakers, test=trained_speakers, reserve=sorted(config.reserve)),
        sides=(len(fold.train), len(classes), len(answers.unknown)),
        class_weights={},
        caveats=caveats,
        history=result.history,
    )  # fmt: skip


def _of_foreign(validation: ValidationOutputs, confidences: Values, threshold: float) -> Iterator[str]:
    """A sentence about each foreign corpus, without its copies."""
    known = validation.known
    for corpus in np.unique(known.foreign[known.is_foreign]).tolist():
        is_of_corpus = (known.foreign == corpus) & ~known.is_copy
        is_right = known.logits[is_of_corpus].argmax(axis=1) == validation.classes[is_of_corpus]
        accepted = confidences[is_of_corpus] >= threshold
        of_these = f", and {is_right[accepted].mean():.0%} of these were right" if accepted.any() else ""
        yield FOREIGN.format(
            corpus=corpus, right=is_right.mean(), accepted=accepted.mean(), of_these=of_these
        )


def tempered(network: Any, temperature: float) -> Any:
    """The network with the logits of its last layer divided by the temperature."""
    head = network.layers[-1]
    head.set_weights([weights / temperature for weights in head.get_weights()])
    return network


def _metrics(
    truth: Indices,
    predicted: Indices,
    labels: list[str],
    answers: Confidences,
    threshold: float,
    **course: Any,
) -> Metrics:
    known, unknown = answers.known, answers.unknown
    return Metrics.model_validate(
        {
            **scores(truth, predicted, labels),
            "ece": Reliability.of(known, answers.are_right).error,
            "rejected": float((known < threshold).mean()),
            "unknown_rejected": float((unknown < threshold).mean()) if len(unknown) else None,
            **course,
        }
    )


def _probabilities(network: Any, inputs: Floats) -> Floats:
    """Probabilities of features, shape (n, classes), also for n = 0, which Keras refuses."""
    if not len(inputs):
        return np.empty((0, network.output_shape[-1]), np.float32)
    return np.asarray(network.predict(inputs, batch_size=256, verbose=0))
