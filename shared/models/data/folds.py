"""Splits of clips into training, validation and test, and the check that all of them pass.

A split sees emotions, speakers and which clips are duplicates, never features. Indices are those of `Clips`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.core.errors.models import Leak
from shared.models.data.audio_data import AudioData

Indices = NDArray[np.int64]
Words = NDArray[np.str_]

NOBODY: Indices = np.empty(0, np.int64)


class Validation(Enum):
    """Which clips of the training side are the validation that selects epoch, temperature and thresholds.

    HELD_OUT: those of some speakers, who then do not train. CROSS: all of them in turn, by networks that were
    trained on the others (cross-validation). NONE: no clips, and nothing is selected.
    """

    HELD_OUT = "some"
    CROSS = "all in turn"
    NONE = "nobody"


@dataclass(frozen=True, slots=True)
class Clips:
    """What a split may look at, one entry a clip.

    Attributes:
        emotions: of each clip.
        speakers: of each clip.
        twins: the same word for clips that are duplicates of each other.
        corpora: the corpus of each clip, the same word for all where there is only one.
    """

    emotions: Words
    speakers: Words
    twins: Words
    corpora: Words

    @classmethod
    def of(cls, data: AudioData) -> Self:
        """The clips of some data.

        Duplicates are clips with the same features bit by bit, as equal samples give them.
        """
        return cls(
            np.array([example.emotion for example in data.examples], dtype=np.str_),
            np.array([example.speaker for example in data.examples], dtype=np.str_),
            np.array([hashlib.sha256(clip.tobytes()).hexdigest() for clip in data.features], dtype=np.str_),
            np.array([example.corpus for example in data.examples], dtype=np.str_),
        )

    def only(self, places: Indices) -> Self:
        """These clips in this order."""
        return type(self)(
            self.emotions[places], self.speakers[places], self.twins[places], self.corpora[places]
        )

    @property
    def is_foreign(self) -> NDArray[np.bool_]:
        """Which clips are not of the main corpus, shape (n,).

        The main corpus is the one with the most emotions, among those the one with the most clips.
        """
        names, counts = np.unique(self.corpora, return_counts=True)
        emotions = [len(set(self.emotions[self.corpora == name])) for name in names]
        main = max(zip(emotions, counts.tolist(), names.tolist(), strict=True), default=(0, 0, ""))[2]
        return np.asarray(self.corpora != main)


@dataclass(frozen=True, slots=True)
class Fold:
    """One training and its test, as indices of clips.

    Attributes:
        name: for people.
        seed: of the weights and the augmentation.
        train: fits the weights, and every statistic.
        validation: selects epoch and temperature; together with `unknown_validation`, the threshold.
        test: clips of known emotions; they only test.
        unknown_validation: clips of unknown emotions by the speakers of the validation.
        unknown: clips of unknown emotions; they only test.
        cross_validation: with `Validation.CROSS`, the training side once more in parts, each with validation
            speakers of its own; `validation` is empty then. Of five folds, the parts of one are the speaker
            groups of the other four, so that two folds have one training in common. Empty otherwise.
        holds_speakers_out: whether no test speaker is in training or validation.
        selects_on_test: the baseline's habit: `validation` is the test part itself.
    """

    name: str
    seed: int
    train: Indices
    validation: Indices
    test: Indices
    unknown_validation: Indices = field(default_factory=lambda: NOBODY)
    unknown: Indices = field(default_factory=lambda: NOBODY)
    cross_validation: tuple[Fold, ...] = ()
    holds_speakers_out: bool = False
    selects_on_test: bool = False


def check(clips: Clips, fold: Fold) -> None:
    """Check that training, validation and test of a fold are separate.

    Between training and test no duplicate is allowed, and no speaker where the fold holds speakers out;
    between training and validation neither. The baseline's habit is excused for `validation` alone.

    Raises:
        Leak: a clip or a speaker is on both sides.
    """
    validation_places = () if fold.selects_on_test else ("validation", "unknown_validation")
    for first, second in product(("train", *validation_places), ("test", "unknown")):
        _check_apart(clips, fold, first, second, speakers=fold.holds_speakers_out)
    for second in validation_places:
        _check_apart(clips, fold, "train", second, speakers=True)
    for part in fold.cross_validation:
        check(clips, part)


def _check_apart(clips: Clips, fold: Fold, first: str, second: str, *, speakers: bool) -> None:
    one, two = getattr(fold, first), getattr(fold, second)
    if len(shared := np.intersect1d(clips.twins[one], clips.twins[two])):
        example = one[clips.twins[one] == shared[0]][0]
        what = f"a recording of {clips.speakers[example]} ({clips.emotions[example]})"
        raise Leak(fold=fold.name, what=what, first=first, second=second)
    if speakers and len(shared := np.intersect1d(clips.speakers[one], clips.speakers[two])):
        raise Leak(fold=fold.name, what=f"speaker {shared[0]}", first=first, second=second)
