"""Who learns, who chooses and who judges: the splits of the protocols, and the guard they all pass.

A split sees emotions, speakers and which clips are twins, never features. Indices are those of `Clips`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from shared.core.errors.models import Leak, TooFewRecordings, TooFewSpeakers, WrongFolds
from shared.models.data.audio_data import AudioData
from shared.models.data.classes import FEWEST_CLIPS, known_classes, stratified

Indices = NDArray[np.int64]
Words = NDArray[np.str_]

FOLDS = 5
CROSSED = 4  # parts: each fits with three quarters of the speakers, and every learning clip chooses once
INNER_SHARE = 0.15  # of the speakers who learn: 3 of 16, and 3 of 20
_NOBODY: Indices = np.empty(0, np.int64)


class Choosers(Enum):
    """Who, of the learning side, chooses epoch, temperature and thresholds: some of its speakers, who then do
    not fit; all of them in turn, by what the others taught; or nobody, and nothing is chosen.
    """

    SOME = "some"
    ALL = "all in turn"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Clips:
    """What a split may look at, an entry a clip. twins: the same for recordings that are one and the same;
    corpora: of which of several each is, the same word for all where there is one.
    """

    emotions: Words
    speakers: Words
    twins: Words
    corpora: Words

    @classmethod
    def of(cls, data: AudioData) -> Self:
        """Twins are clips with the same features, bit by bit, as equal samples give them."""
        return cls(
            np.array([example.emotion for example in data.examples], dtype=np.str_),
            np.array([example.speaker for example in data.examples], dtype=np.str_),
            np.array([hashlib.sha256(clip.tobytes()).hexdigest() for clip in data.features], dtype=np.str_),
            np.array([example.corpus for example in data.examples], dtype=np.str_),
        )

    def only(self, places: Indices) -> Self:
        """These clips, in this order."""
        return type(self)(
            self.emotions[places], self.speakers[places], self.twins[places], self.corpora[places]
        )

    @property
    def is_foreign(self) -> NDArray[np.bool_]:
        """(n,): which clips are of another corpus than that of the most emotions, then of the most clips."""
        names, counts = np.unique(self.corpora, return_counts=True)
        emotions = [len(set(self.emotions[self.corpora == name])) for name in names]
        main = max(zip(emotions, counts.tolist(), names.tolist(), strict=True), default=(0, 0, ""))[2]
        return np.asarray(self.corpora != main)


@dataclass(frozen=True, slots=True)
class Fold:
    """One training and its test, as indices of clips.

    name: for people.
    seed: of the weights and the augmentation.
    train: fits the weights, and any statistic.
    validation: chooses epoch and temperature; with `unknown_validation`, clips of unknown emotions by the
        same speakers, the threshold.
    test, unknown: only judge, known and unknown emotions.
    cross_validation: where all who learn fit and `validation` is nobody, the learning side once more in
        parts: each part's speakers choose by what the others' recordings taught. Of five folds the parts of
        one are the groups of the other four, so that two folds have one training in common. Empty where
        nobody chooses.
    holds_speakers_out: no test speaker is heard before.
    selects_on_test: the baseline's habit, where `validation` is the test part itself.
    """

    name: str
    seed: int
    train: Indices
    validation: Indices
    test: Indices
    unknown_validation: Indices = field(default_factory=lambda: _NOBODY)
    unknown: Indices = field(default_factory=lambda: _NOBODY)
    cross_validation: tuple[Fold, ...] = ()
    holds_speakers_out: bool = False
    selects_on_test: bool = False


def seed_fold(
    clips: Clips,
    drop: Sequence[str],
    seed: int,
    choosers: Choosers = Choosers.SOME,
    *,
    select_on_test: bool = False,
) -> Fold:
    """The seed's stratified 80/20; a test clip whose twin is on the training side joins it there.

    Raises TooFewRecordings or TooFewSpeakers.
    """
    is_known, _, classes = known_classes(clips.emotions, drop)
    known = np.flatnonzero(is_known)
    side, test = (known[places] for places in stratified(classes, seed))
    is_twin = np.isin(clips.twins[test], clips.twins[side])
    side, test = np.concatenate([side, test[is_twin]]), test[~is_twin]
    if select_on_test:
        return Fold(f"seed {seed}, chosen on the test part", seed, side, test, test, selects_on_test=True)
    fold = _learning(clips, Fold(f"seed {seed}, chosen inside training", seed, side, _NOBODY, test),
                     side, is_known, "The training side", choosers)  # fmt: skip
    _check_classes(clips, known, fold.train)
    return fold


def speaker_folds(
    clips: Clips,
    drop: Sequence[str],
    seed: int,
    groups: Sequence[Sequence[str]] | None = None,
    choosers: Choosers = Choosers.SOME,
) -> list[Fold]:
    """A fold for each group of speakers, who judge what the others' recordings teach.

    groups: as `read_folds` gives them; else five of about as many clips, drawn by the seed. A speaker in
    no group always learns. A clip whose twin judges is left out of learning.
    Raises TooFewRecordings or TooFewSpeakers.
    """
    is_known, _, _ = known_classes(clips.emotions, drop)
    groups = groups or _drawn_groups(clips, seed)
    folds = []
    for speakers in groups:
        judges = np.isin(clips.speakers, list(speakers))
        learns = np.flatnonzero(~judges & ~np.isin(clips.twins, clips.twins[judges]))
        name = f"seed {seed}, speakers {' '.join(speakers)}"
        judging = Fold(
            name,
            seed,
            train=learns[is_known[learns]],
            validation=_NOBODY,
            test=np.flatnonzero(judges & is_known),
            unknown=np.flatnonzero(judges & ~is_known),
            holds_speakers_out=True,
        )
        part = f"The training side of the fold {name}"
        others = [group for group in groups if group is not speakers]
        fold = _learning(clips, judging, learns, is_known, part, choosers, others)
        folds.append(fold)
        _check_classes(clips, np.flatnonzero(is_known), fold.train)
        chooses = np.concatenate([part.validation for part in fold.cross_validation or [fold]])
        wanted = {"judge": fold.test} | ({} if choosers is Choosers.NOBODY else {"choose": chooses})
        for does, indices in wanted.items():
            if not len(indices):
                raise TooFewRecordings(emotion=f"Who is to {does} in {name}", clips=0, minimum=1)
    return folds


def learning_fold(clips: Clips, drop: Sequence[str], seed: int) -> Fold:
    """All clips learn, crosswise, and nobody judges: for a version that is to be served.

    Raises TooFewRecordings or TooFewSpeakers.
    """
    is_known, _, _ = known_classes(clips.emotions, drop)
    everyone = np.arange(len(is_known))
    fold = Fold("all", seed, train=everyone[is_known], validation=_NOBODY, test=_NOBODY)
    return _learning(clips, fold, everyone, is_known, "The folder", Choosers.ALL)


def _learning(
    clips: Clips,
    fold: Fold,
    side: Indices,
    is_known: NDArray[np.bool_],
    part: str,
    choosers: Choosers,
    groups: Sequence[Sequence[str]] = (),
) -> Fold:
    """The fold with its learning side divided: some speakers choose, or all of them in turn, by these groups
    if they are enough.
    """
    speakers = len(set(clips.speakers[side]))
    if speakers < 2:
        raise TooFewSpeakers(part=part, speakers=speakers, minimum=2)
    if choosers is Choosers.NOBODY:
        return fold
    if choosers is Choosers.ALL and len(groups) >= CROSSED:
        divisions = [_apart(np.isin(clips.speakers[side], list(group))) for group in groups]
    elif choosers is Choosers.ALL:
        # A foreign corpus as a whole, so that it is judged by those who never heard any of it, as other
        # people's archives will be.
        own = clips.only(side)
        apart = np.where(own.is_foreign, own.corpora, own.speakers)
        parts_of = GroupKFold(min(CROSSED, len(set(apart))), shuffle=True, random_state=fold.seed)
        divisions = list(parts_of.split(side, groups=apart))
    else:
        some = GroupShuffleSplit(1, test_size=INNER_SHARE, random_state=fold.seed)
        divisions = list(some.split(side, groups=clips.speakers[side]))
    parts = []
    for fits, chooses in divisions:
        fitting, choosing = side[fits], side[chooses]
        fitting = fitting[~np.isin(clips.twins[fitting], clips.twins[choosing])]
        train = fitting[is_known[fitting]]
        known, unknown = choosing[is_known[choosing]], choosing[~is_known[choosing]]
        parts.append(replace(fold, train=train, validation=known, unknown_validation=unknown))
    return replace(fold, cross_validation=tuple(parts)) if choosers is Choosers.ALL else parts[0]


def _apart(chooses: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    return np.flatnonzero(~chooses), np.flatnonzero(chooses)


def _drawn_groups(clips: Clips, seed: int) -> list[list[str]]:
    speakers = len(set(clips.speakers))
    if speakers < 3:
        raise TooFewSpeakers(part="The folder", speakers=speakers, minimum=3)
    splits = GroupKFold(min(FOLDS, speakers), shuffle=True, random_state=seed)
    sides = splits.split(clips.emotions, groups=clips.speakers)
    return [sorted(set(clips.speakers[held_out].tolist())) for _, held_out in sides]


def _check_classes(clips: Clips, known: Indices, train: Indices) -> None:
    for emotion in np.unique(clips.emotions[known]):
        if not np.any(clips.emotions[train] == emotion):
            raise TooFewRecordings(emotion=emotion, clips=0, minimum=FEWEST_CLIPS)


def read_folds(file: Path, clips: Clips) -> list[list[str]]:
    """The groups of speakers that a file names, a line each; those who are not there are left out.

    2 means speaker 02 too. Raises WrongFolds with the line.
    """
    there: set[str] = set(clips.speakers.tolist())
    numbers = {int(speaker): speaker for speaker in there if speaker.isdecimal()}
    groups, seen = [], set[str]()
    for line, words in _lines(file):
        group = {numbers.get(int(word), word) if word.isdecimal() else word for word in words} & there
        if twice := seen & group:
            raise WrongFolds(file=file, line=line, reason=f"speaker {min(twice)} is in a fold already")
        seen |= group
        if group:
            groups.append(sorted(group))
    if not groups:
        raise WrongFolds(file=file, line=1, reason="no speaker of any fold is in these recordings")
    return groups


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongFolds(file=file, line=1, reason=f"it cannot be read ({error})") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if words := [word.strip() for word in line.split(",") if word.strip()]:
            yield number, words


def check(clips: Clips, fold: Fold) -> None:
    """Raise Leak if anything of what judges takes part in what is learnt or chosen, or fits what chooses.

    Between what learns and what judges no twin is allowed, and no speaker where the fold holds speakers out;
    between what fits and what chooses neither. The seed's habit is excused for `validation` alone.
    """
    chooses = () if fold.selects_on_test else ("validation", "unknown_validation")
    for first, second in product(("train", *chooses), ("test", "unknown")):
        _check_apart(clips, fold, first, second, speakers=fold.holds_speakers_out)
    for second in chooses:
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
