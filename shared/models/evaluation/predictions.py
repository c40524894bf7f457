"""The answers to some clips, as arrays in a file, and their metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.core.states import Outcome
from shared.models.data.folds import Indices, Words
from shared.models.evaluation.summary import Document, share
from shared.models.metrics.calibration import Reliability, Values
from shared.models.metrics.scores import average_recall
from voxmood.files import written_whole

NOBODY = -1  # the class of an answer that is none


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers to n clips.

    Attributes:
        paths: of the clips, shape (n,).
        emotions: the true ones, shape (n,).
        outcomes: shape (n,).
        probabilities: of k labels, NaN where there is no answer, shape (n, k).
        labels: shape (k,).
        threshold: what confidences are compared with, NaN if nothing, shape ().
    """

    paths: Words
    emotions: Words
    outcomes: Words
    probabilities: Values
    labels: Words
    threshold: Values

    @property
    def truth(self) -> Indices:
        """The true class of each clip, NOBODY where it is none of the labels, shape (n,)."""
        return _places(self.emotions, self.labels)

    @property
    def confidences(self) -> Values:
        """The highest probability, NaN where there is no answer, shape (n,)."""
        return np.asarray(np.where(self.answered, np.nan_to_num(self.probabilities).max(axis=1), np.nan))

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Whether there is an answer, accepted or not, shape (n,)."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    def predicted_classes(self, among: Sequence[str] | None = None) -> Indices:
        """The likeliest class of each clip, NOBODY where there is no answer, shape (n,).

        Args:
            among: the labels that are considered; None: all.
        """
        wanted = np.isin(self.labels, self.labels if among is None else np.array(list(among), np.str_))
        likely = np.where(wanted, np.nan_to_num(self.probabilities), -1.0).argmax(axis=1)
        return np.where(self.answered, likely, NOBODY)

    def metrics(self, among: Sequence[str] | None = None) -> Document:
        """Accuracy, accepted share, how much of that was right, and ECE.

        Clips without an answer count as wrong in the accuracy, and not at all in the ECE.

        Args:
            among: the labels that clips may have, for the accuracy of answers that must be one of these.
        """
        truth, predicted = self.truth, self.predicted_classes()
        is_right, answered = predicted == truth, self.answered
        has_limit = bool(np.isfinite(self.threshold))
        accepted = answered & (np.nan_to_num(self.confidences) >= self.threshold) if has_limit else None
        metrics: Document = {
            "clips": len(truth),
            "accuracy": share(is_right),
            "uar": average_recall(truth, predicted) if len(truth) else None,
            "accepted": None if accepted is None else int(accepted.sum()),
            "accepted_share": None if accepted is None else share(accepted),
            "right_of_accepted": None if accepted is None else share(is_right[accepted]),
            "no_voice": share(self.outcomes == Outcome.NO_VOICE),
            "failed": int((self.outcomes == Outcome.FAILED).sum()),
            "ece": Reliability.of(self.confidences[answered], is_right[answered]).error
            if answered.any()
            else None,
            "recall": {
                label: share(is_right[self.emotions == label])
                for label in self.labels.tolist()
                if np.any(self.emotions == label)
            },
        }
        if among is not None:
            metrics["accuracy_among_shared"] = share(self.predicted_classes(among) == truth)
        return metrics

    @classmethod
    def read(cls, folder: Path, identity: str) -> Self | None:
        """Read predictions from a folder; None if they are not there."""
        file = _file(folder, identity)
        if not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})

    def write(self, folder: Path, identity: str) -> None:
        """Write one file, which is there as a whole or not at all."""
        file = _file(folder, identity)
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as partial:
            np.savez_compressed(partial, allow_pickle=False, **asdict(self))


def _places(emotions: Words, labels: Words) -> Indices:
    equal = emotions[:, None] == labels[None, :]
    return np.where(equal.any(axis=1), equal.argmax(axis=1), NOBODY)


def _file(folder: Path, identity: str) -> Path:
    return folder / "replies" / f"{identity[:16]}.npz"
