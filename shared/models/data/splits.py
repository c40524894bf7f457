"""Splits of clips into folds: the baseline's, by speakers, and of all clips for a version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from shared.core.errors.models import TooFewRecordings, TooFewSpeakers, WrongFolds
from shared.models.data.classes import FEWEST_CLIPS, known_classes, stratified
from shared.models.data.folds import NOBODY, Clips, Fold, Indices, Validation

FOLDS = 5
# Each part trains with three quarters of the speakers, and every training clip validates once.
CROSS_VALIDATION_PARTS = 4
VALIDATION_SHARE = 0.15  # of the training speakers: 3 of 16, and 3 of 20


def baseline_fold(
    clips: Clips,
    drop: Sequence[str],
    seed: int,
    validation: Validation = Validation.HELD_OUT,
    *,
    select_on_test: bool = False,
) -> Fold:
    """The baseline's stratified 80/20 split.

    A test clip whose duplicate is on the training side joins it there.

    Args:
        clips: all of them.
        drop: the unknown emotions.
        seed: of the split.
        validation: how the training side is divided further.
        select_on_test: whether the test part is the validation, as in the baseline.

    Raises:
        TooFewRecordings: an emotion has too few clips.
        TooFewSpeakers: the training side has a single speaker.
    """
    is_known, _, classes = known_classes(clips.emotions, drop)
    known = np.flatnonzero(is_known)
    side, test = (known[places] for places in stratified(classes, seed))
    is_twin = np.isin(clips.twins[test], clips.twins[side])
    side, test = np.concatenate([side, test[is_twin]]), test[~is_twin]
    if select_on_test:
        return Fold(f"seed {seed}, chosen on the test part", seed, side, test, test, selects_on_test=True)
    fold = _with_validation(clips, Fold(f"seed {seed}, chosen inside training", seed, side, NOBODY, test),
                     side, is_known, "The training side", validation)  # fmt: skip
    _check_classes(clips, known, fold.train)
    return fold


def speaker_folds(
    clips: Clips,
    drop: Sequence[str],
    seed: int,
    groups: Sequence[Sequence[str]] | None = None,
    validation: Validation = Validation.HELD_OUT,
) -> list[Fold]:
    """A fold for each group of speakers, who are its test speakers.

    Clips whose duplicate is in the test part are left out of training.

    Args:
        clips: all of them.
        drop: the unknown emotions.
        seed: of the split.
        groups: speakers, from `read_folds`; None: five groups with about as many clips each. A speaker in no
            group always trains.
        validation: how the training side is divided further.

    Raises:
        TooFewRecordings: an emotion or a part has too few clips.
        TooFewSpeakers: there are less than three speakers.
    """
    is_known, _, _ = known_classes(clips.emotions, drop)
    groups = groups or _random_groups(clips, seed)
    folds = []
    for speakers in groups:
        is_tested = np.isin(clips.speakers, list(speakers))
        trained = np.flatnonzero(~is_tested & ~np.isin(clips.twins, clips.twins[is_tested]))
        name = f"seed {seed}, speakers {' '.join(speakers)}"
        fold_without_validation = Fold(
            name,
            seed,
            train=trained[is_known[trained]],
            validation=NOBODY,
            test=np.flatnonzero(is_tested & is_known),
            unknown=np.flatnonzero(is_tested & ~is_known),
            holds_speakers_out=True,
        )
        part = f"The training side of the fold {name}"
        others = [group for group in groups if group is not speakers]
        fold = _with_validation(clips, fold_without_validation, trained, is_known, part, validation, others)
        folds.append(fold)
        _check_classes(clips, np.flatnonzero(is_known), fold.train)
        validation_places = np.concatenate([part.validation for part in fold.cross_validation or [fold]])
        wanted = {"judge": fold.test} | (
            {} if validation is Validation.NONE else {"choose": validation_places}
        )
        for does, indices in wanted.items():
            if not len(indices):
                raise TooFewRecordings(emotion=f"Who is to {does} in {name}", clips=0, minimum=1)
    return folds


def training_fold(clips: Clips, drop: Sequence[str], seed: int) -> Fold:
    """A fold without a test, in which all clips train, with cross-validation: for a version to be served.

    Args:
        clips: all of them.
        drop: the unknown emotions.
        seed: of the splits.

    Raises:
        TooFewRecordings: an emotion has too few clips.
        TooFewSpeakers: there is a single speaker.
    """
    is_known, _, _ = known_classes(clips.emotions, drop)
    everyone = np.arange(len(is_known))
    fold = Fold("all", seed, train=everyone[is_known], validation=NOBODY, test=NOBODY)
    return _with_validation(clips, fold, everyone, is_known, "The folder", Validation.CROSS)


def _with_validation(
    clips: Clips,
    fold: Fold,
    side: Indices,
    is_known: NDArray[np.bool_],
    part: str,
    validation: Validation,
    groups: Sequence[Sequence[str]] = (),
) -> Fold:
    """Divide the training side of a fold into training and validation.

    Args:
        clips: all of them.
        fold: without validation.
        side: the clips of its training side.
        is_known: whether each of all clips has a known emotion.
        part: the side's name, for the error.
        validation: how it is divided.
        groups: the speakers of each part of a cross-validation, if there are enough of them.

    Raises:
        TooFewSpeakers: the side has a single speaker.
    """
    speakers = len(set(clips.speakers[side]))
    if speakers < 2:
        raise TooFewSpeakers(part=part, speakers=speakers, minimum=2)
    if validation is Validation.NONE:
        return fold
    if validation is Validation.CROSS and len(groups) >= CROSS_VALIDATION_PARTS:
        divisions = [_apart(np.isin(clips.speakers[side], list(group))) for group in groups]
    elif validation is Validation.CROSS:
        # A foreign corpus is one group, so that its validation is by networks that were trained on nothing of
        # it: so it will be with other people's archives.
        own = clips.only(side)
        apart = np.where(own.is_foreign, own.corpora, own.speakers)
        parts_of = GroupKFold(
            min(CROSS_VALIDATION_PARTS, len(set(apart))), shuffle=True, random_state=fold.seed
        )
        divisions = list(parts_of.split(side, groups=apart))
    else:
        some = GroupShuffleSplit(1, test_size=VALIDATION_SHARE, random_state=fold.seed)
        divisions = list(some.split(side, groups=clips.speakers[side]))
    parts = []
    for train_places, validation_places in divisions:
        train_side, validation_side = side[train_places], side[validation_places]
        train_side = train_side[~np.isin(clips.twins[train_side], clips.twins[validation_side])]
        train = train_side[is_known[train_side]]
        known, unknown = (
            validation_side[is_known[validation_side]],
            validation_side[~is_known[validation_side]],
        )
        parts.append(replace(fold, train=train, validation=known, unknown_validation=unknown))
    return replace(fold, cross_validation=tuple(parts)) if validation is Validation.CROSS else parts[0]


def _apart(validation_places: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    return np.flatnonzero(~validation_places), np.flatnonzero(validation_places)


def _random_groups(clips: Clips, seed: int) -> list[list[str]]:
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
    """Read groups of speakers from a file, one group a line.

    Speakers who are not in the recordings are left out; 2 stands for speaker 02 too.

    Raises:
        WrongFolds: a line is wrong, or no speaker is in the recordings.
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
