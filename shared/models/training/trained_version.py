"""Train on all clips, and measure: on a random fifth, as the baseline does, or by cross-validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.audio.features import Floats
from shared.models.data.audio_data import AudioData
from shared.models.data.folds import Clips, Indices, check, learning_fold
from shared.models.metrics.calibration import SCORES, Reliability, Values
from shared.models.metrics.scores import scores
from shared.models.serving.manifest import RANDOM_FIFTH, Metrics, Speakers, ThresholdRule
from shared.models.serving.rejection import RISK_TARGET, RiskCoverage, seed_threshold
from shared.models.training.baseline import Report, TrainingConfig, build_classifier, fit, split
from shared.models.training.fit_result import TOP, FoldData, ValidationOutputs
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
UNHEARD = "the clips of all who learn, each speaker's by networks that the others taught"
UNHEARD_OWN = "the clips of {corpus} that learn, each speaker's by networks that the others taught"
FOREIGN = (
    "Recordings of another kind are another matter. Of {corpus}, by networks that had heard nothing of it, "
    "{right:.0%} of the answers were right; {accepted:.1%} were accepted{of_these}."
)
HEARD = "all clips, each by networks that other clips taught"
ONE_SPEAKER = (
    "Nobody said that there is more than one speaker, so the clips were divided at random to judge each "
    "other: on new speakers the accuracy is far lower."
)
CROSSED = [
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
    """How sure the network was of the clips that judge (n,), whether it was right (n,), and how sure of clips
    of unknown emotions (m,), where it never is.
    """

    known: NDArray[np.floating]
    are_right: NDArray[np.bool_]
    unknown: NDArray[np.floating]

    def curves(self) -> dict[str, RiskCoverage]:
        """By the known clips, and by all where there are unknown ones."""
        curves = {"known emotions": RiskCoverage.of(self.known, self.are_right)}
        if len(self.unknown):
            curves["with unknown ones, all wrong"] = RiskCoverage.of(*self.together())
        return curves

    def together(self) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """Confidences of all clips, and whether each answer was right."""
        never = np.zeros(len(self.unknown), bool)
        return np.concatenate([self.known, self.unknown]), np.concatenate([self.are_right, never])


@dataclass(frozen=True, slots=True)
class TrainedVersion:
    """What a training gives its version. judged: a phrase that says which clips the metrics are of;
    sides: how many clips were there to train, to test, and of unknown emotions.
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


def baseline_version(data: AudioData, config: TrainingConfig, folder: Path, report: Report) -> TrainedVersion:
    """A random fifth of the clips judges, and chooses the epoch; the unknown emotions set the threshold."""
    parts = split(data, config)
    fitted = fit(parts, config, folder / f"{config.version}_best.keras", report)
    is_unknown = np.isin([example.emotion for example in data.examples], list(config.drop))
    test, unknown, train = (
        _probabilities(fitted.network, inputs)
        for inputs in (parts.test, data.features[is_unknown], parts.train)
    )
    threshold, unclipped = seed_threshold(unknown.max(axis=1))
    told = test.argmax(axis=1)
    answers = Confidences(test.max(axis=1), told == parts.test_classes, unknown.max(axis=1))
    metrics = _metrics(
        parts.test_classes, told, parts.labels, answers, threshold,
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


def cross_validated(data: AudioData, config: TrainingConfig, _folder: Path, report: Report) -> TrainedVersion:
    """Everybody trains; each speaker judges what the others taught, and so sets temperature and threshold.

    Where all clips are of one speaker, as labels that name none are, each clip stands for one.
    """
    clips = Clips.of(data)
    heard = np.unique(clips.speakers).tolist()
    are_unheard = len(heard) > 1
    if not are_unheard:
        clips = replace(clips, speakers=clips.twins)
    judged = UNHEARD if are_unheard else HEARD
    if clips.is_foreign.any():
        judged = UNHEARD_OWN.format(corpus=clips.corpora[~clips.is_foreign][0])
    fold = learning_fold(clips, config.drop, config.seed)
    check(clips, fold)
    fold_data = FoldData.of(data, clips, fold)
    result = RECIPES[config.network].learn(fold_data, config, report, None)
    validation, n_labels = result.validation, len(fold_data.labels)
    known, unknown = (
        SCORES[TOP](told.logits, result.temperature, n_labels)
        for told in (validation.known, validation.unknown)
    )
    told = validation.known.logits.argmax(axis=1)
    of_all = Confidences(known, told == validation.classes, unknown)
    threshold = result.threshold
    as_they_are = ~validation.known.is_copy & ~validation.known.is_foreign
    told, classes = told[as_they_are], validation.classes[as_they_are]
    unaltered = ~validation.unknown.is_copy & ~validation.unknown.is_foreign
    answers = Confidences(known[as_they_are], told == classes, unknown[unaltered])
    caveats = [caveat.format(judged=judged) for caveat in CROSSED]
    caveats += _of_foreign(validation, known, threshold)
    if not are_unheard:
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
            classes, told, fold_data.labels, answers, threshold,
            train_accuracy=result.train_accuracy, epochs=result.epochs, best_epoch=result.best_epoch,
        ),
        answers=answers,
        speakers=Speakers(training=heard, test=heard, reserve=sorted(config.reserve)),
        sides=(len(fold.train), len(classes), len(answers.unknown)),
        class_weights={},
        caveats=caveats,
        history=result.history,
    )  # fmt: skip


def _of_foreign(validation: ValidationOutputs, confidences: Values, threshold: float) -> Iterator[str]:
    """A sentence about each foreign corpus, its clips as they are."""
    told = validation.known
    for corpus in np.unique(told.foreign[told.is_foreign]).tolist():
        those = (told.foreign == corpus) & ~told.is_copy
        is_right = told.logits[those].argmax(axis=1) == validation.classes[those]
        accepted = confidences[those] >= threshold
        of_these = f", and {is_right[accepted].mean():.0%} of these were right" if accepted.any() else ""
        yield FOREIGN.format(
            corpus=corpus, right=is_right.mean(), accepted=accepted.mean(), of_these=of_these
        )


def tempered(network: Any, temperature: float) -> Any:
    """The network with its last layer's logits divided by the temperature."""
    head = network.layers[-1]
    head.set_weights([weights / temperature for weights in head.get_weights()])
    return network


def _metrics(
    truth: Indices,
    told: Indices,
    labels: list[str],
    answers: Confidences,
    threshold: float,
    **course: Any,
) -> Metrics:
    known, unknown = answers.known, answers.unknown
    return Metrics.model_validate(
        {
            **scores(truth, told, labels),
            "ece": Reliability.of(known, answers.are_right).error,
            "rejected": float((known < threshold).mean()),
            "unknown_rejected": float((unknown < threshold).mean()) if len(unknown) else None,
            **course,
        }
    )


def _probabilities(network: Any, inputs: Floats) -> Floats:
    """(n, classes), also for n = 0, which Keras refuses."""
    if not len(inputs):
        return np.empty((0, network.output_shape[-1]), np.float32)
    return np.asarray(network.predict(inputs, batch_size=256, verbose=0))
