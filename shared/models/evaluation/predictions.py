"""What was answered to some clips, as arrays in a file, and the figures of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.core.states import Outcome
from shared.models.data.folds import Indices, Words
from shared.models.evaluation.summary import Figures, share
from shared.models.metrics.calibration import Reliability, Values
from shared.models.metrics.scores import average_recall
from voxmood.files import written_whole

NOBODY = -1  # the class of an answer that is none


@dataclass(frozen=True, slots=True)
class Predictions:
    """An entry a clip, (n,): paths, the true emotions, and outcomes; probabilities: (n, labels), NaN where
    there is no answer; labels: (k,); threshold: (), what a confidence was held against, NaN if nothing.
    """

    paths: Words
    emotions: Words
    outcomes: Words
    probabilities: Values
    labels: Words
    threshold: Values

    @property
    def truth(self) -> Indices:
        """(n,): the class of each clip, NOBODY where it is none of the labels."""
        return _places(self.emotions, self.labels)

    @property
    def confidences(self) -> Values:
        """(n,): the highest probability, NaN where there is no answer."""
        return np.asarray(np.where(self.answered, np.nan_to_num(self.probabilities).max(axis=1), np.nan))

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(n,): whether there is an answer, accepted or not."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    def told(self, among: Sequence[str] | None = None) -> Indices:
        """(n,): the likeliest class of all, or of these labels; NOBODY where there is no answer."""
        wanted = np.isin(self.labels, self.labels if among is None else np.array(list(among), np.str_))
        likely = np.where(wanted, np.nan_to_num(self.probabilities), -1.0).argmax(axis=1)
        return np.where(self.answered, likely, NOBODY)

    def figures(self, among: Sequence[str] | None = None) -> Figures:
        """Accuracy over all clips, those in which no voice was heard as wrong; what was accepted, and how
        much of that was right; ECE of the answers that there are. among: the labels that clips may have, for
        the accuracy of an answer that must be one of these.
        """
        truth, told = self.truth, self.told()
        is_right, answered = told == truth, self.answered
        has_limit = bool(np.isfinite(self.threshold))
        accepted = answered & (np.nan_to_num(self.confidences) >= self.threshold) if has_limit else None
        figures: Figures = {
            "clips": len(truth),
            "accuracy": share(is_right),
            "uar": average_recall(truth, told) if len(truth) else None,
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
            figures["accuracy_among_shared"] = share(self.told(among) == truth)
        return figures

    @classmethod
    def read(cls, folder: Path, identity: str) -> Self | None:
        """As they were written into a folder; None if they are not there."""
        file = _file(folder, identity)
        if not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})

    def write(self, folder: Path, identity: str) -> None:
        """One file, there as a whole or not at all."""
        file = _file(folder, identity)
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as partial:
            np.savez_compressed(partial, allow_pickle=False, **asdict(self))


def _places(emotions: Words, labels: Words) -> Indices:
    equal = emotions[:, None] == labels[None, :]
    return np.where(equal.any(axis=1), equal.argmax(axis=1), NOBODY)


def _file(folder: Path, identity: str) -> Path:
    return folder / "replies" / f"{identity[:16]}.npz"
