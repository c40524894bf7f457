"""The splits of the protocols, and leaks planted into them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.core.errors.models import Leak, TooFewRecordings, TooFewSpeakers, WrongFolds
from shared.models.data.classes import known_classes, stratified
from shared.models.data.datasets import Example, channel
from shared.models.data.folds import Clips, Fold, Validation, check
from shared.models.data.splits import baseline_fold, read_folds, speaker_folds

EMOTIONS = ["angry", "calm", "happy", "sad", "surprised"]
DROP = ["sad", "surprised"]


def clips_of(speakers: int, takes: int = 4) -> Clips:
    """So many speakers with so many takes of each emotion, and one pair of twins, of speaker 01."""
    emotions = np.array([emotion for _ in range(speakers) for emotion in EMOTIONS for _ in range(takes)])
    who = np.repeat([f"{number + 1:02}" for number in range(speakers)], takes * len(EMOTIONS))
    twins = np.array([f"{number}" for number in range(len(emotions))])
    twins[1] = twins[0]
    return Clips(emotions, who, twins, np.full(len(emotions), ""))


@pytest.fixture
def clips() -> Clips:
    return clips_of(6)


def sides(fold: Fold) -> dict[str, set[int]]:
    return {
        part: set(getattr(fold, part))
        for part in ("train", "validation", "test", "unknown_validation", "unknown")
    }


def test_the_seed_protocol_is_the_seeds_split_and_chooses_by_speakers_inside_training(clips: Clips) -> None:
    fold = baseline_fold(clips, DROP, 42)
    check(clips, fold)
    known, _, classes = known_classes(clips.emotions, DROP)
    train, test = (set(np.flatnonzero(known)[side]) for side in stratified(classes, 42))
    moved = test - sides(fold)["test"]
    assert moved <= {0, 1}
    assert sides(fold)["test"] == test - moved
    assert sides(fold)["train"] | sides(fold)["validation"] == train | moved
    assert not set(clips.speakers[fold.train]) & set(clips.speakers[fold.validation])
    habit = baseline_fold(clips, DROP, 42, select_on_test=True)
    check(clips, habit)
    assert sides(habit)["validation"] == sides(habit)["test"] == sides(fold)["test"]
    assert sides(habit)["train"] == train | moved


def test_two_of_five_folds_have_one_training_in_common() -> None:
    clips = clips_of(10)
    folds = speaker_folds(clips, DROP, 42, validation=Validation.CROSS)
    trainings: dict[tuple[int, ...], list[set[str]]] = {}
    for fold in folds:
        check(clips, fold)
        judges = set(clips.speakers[fold.test])
        for part in fold.cross_validation:
            validation = set(clips.speakers[part.validation])
            trainings.setdefault(tuple(part.train), []).append(judges | validation)
            assert not set(clips.speakers[part.train]) & (judges | validation)
        everyone = np.concatenate([part.validation for part in fold.cross_validation])
        assert sorted(everyone) == sorted(fold.train)
    assert len(trainings) == 10
    assert all(len(heldout) == 2 and heldout[0] == heldout[1] for heldout in trainings.values())


def test_twins_stay_on_one_side_whatever_the_seed(clips: Clips) -> None:
    parted = 0
    for seed in range(40):
        _, _, classes = known_classes(clips.emotions, DROP)
        train, _ = stratified(classes, seed)
        parted += len({0, 1} & set(train)) == 1
        fold = baseline_fold(clips, DROP, seed)
        check(clips, fold)
        assert sum(bool({0, 1} & sides(fold)[part]) for part in ("train", "validation", "test")) == 1
    assert parted > 5  # the seed's own split parts them


def test_each_speaker_judges_once_and_is_not_heard_before(clips: Clips) -> None:
    folds = speaker_folds(clips, DROP, 42)
    assert len(folds) == 5
    judged = [speaker for fold in folds for speaker in set(clips.speakers[fold.test])]
    assert sorted(judged) == sorted(set(clips.speakers))
    for fold in folds:
        check(clips, fold)
        parts = sides(fold)
        assert len(set.union(*parts.values())) == sum(map(len, parts.values()))
        assert set(clips.emotions[fold.unknown]) == set(clips.emotions[fold.unknown_validation]) == set(DROP)
        assert set(clips.speakers[fold.unknown_validation]) == set(clips.speakers[fold.validation])
        assert not set(clips.emotions[np.concatenate([fold.train, fold.validation, fold.test])]) & set(DROP)


def test_a_twin_of_a_judging_clip_by_another_speaker_is_left_out_of_learning(clips: Clips) -> None:
    twins = clips.twins.copy()
    twins[-20] = twins[0]  # of speaker 06, angry as well
    shared = replace(clips, twins=twins)
    folds = speaker_folds(shared, DROP, 42, [["01"], ["02"]])
    for fold in folds:
        check(shared, fold)
    assert len(clips.twins) - 20 not in sides(folds[0])["train"] | sides(folds[0])["validation"]


def test_a_folds_file_names_speakers_a_line_and_absent_ones_are_left_out(
    clips: Clips, tmp_path: Path
) -> None:
    file = tmp_path / "folds.txt"
    file.write_text("2,5,14\n\n 03 , 6\n17,21\n1,4\n")
    groups = read_folds(file, clips)
    assert groups == [["02", "05"], ["03", "06"], ["01", "04"]]
    folds = speaker_folds(clips, [], 42, groups)
    assert [sorted(set(clips.speakers[fold.test])) for fold in folds] == groups


@pytest.mark.parametrize(
    ("text", "words"),
    [("1,2\n3,01\n", "line 2: speaker 01 is in a fold already"), ("17,18", "no speaker of any fold")],
)
def test_a_wrong_folds_file_is_refused_with_its_line(
    clips: Clips, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "folds.txt"
    file.write_text(text)
    with pytest.raises(WrongFolds, match=words):
        read_folds(file, clips)
    with pytest.raises(WrongFolds, match="cannot be read"):
        read_folds(tmp_path / "nothing.txt", clips)


def test_too_little_to_divide_is_said() -> None:
    with pytest.raises(TooFewSpeakers, match="The folder has 2 speaker"):
        speaker_folds(clips_of(2), [], 42)
    with pytest.raises(TooFewSpeakers, match="has 1 speaker"):
        speaker_folds(clips_of(2), [], 42, [["01"]])
    with pytest.raises(TooFewSpeakers, match="The training side has 1 speaker"):
        baseline_fold(clips_of(1, 10), [], 42)
    clips = clips_of(3)
    is_angry_of_others = (clips.emotions == "angry") & (clips.speakers != "01")
    one_angry = replace(clips, emotions=np.where(is_angry_of_others, "calm", clips.emotions))
    one_angry = replace(one_angry, emotions=np.where(np.arange(60) == 4, "angry", one_angry.emotions))
    with pytest.raises(TooFewRecordings, match="angry has 0"):
        speaker_folds(one_angry, [], 42, [["01"]])


# --- leaks, planted ------------------------------------------------------------------------------
@pytest.fixture
def fold(clips: Clips) -> Fold:
    return speaker_folds(clips, DROP, 42)[0]


@pytest.mark.parametrize(
    ("learns", "judges"),
    [
        ("train", "test"),
        ("validation", "test"),
        ("unknown_validation", "unknown"),
        ("train", "validation"),
        ("unknown_validation", "test"),
    ],
    ids=["weights", "early stopping", "threshold", "choice", "threshold by known"],
)
def test_a_planted_speaker_is_caught(clips: Clips, fold: Fold, learns: str, judges: str) -> None:
    check(clips, fold)
    spy = getattr(fold, judges)
    leaky = replace(fold, **{learns: np.append(getattr(fold, learns), spy[-1]), judges: spy[:-1]})
    assert not sides(leaky)[learns] & sides(leaky)[judges]  # no clip is on both sides, only its speaker
    with pytest.raises(Leak, match=f"speaker {clips.speakers[spy[-1]]} is both in its part {learns}"):
        check(clips, leaky)


@pytest.mark.parametrize(
    ("learns", "judges"),
    [("train", "test"), ("validation", "test"), ("train", "validation"), ("unknown_validation", "unknown")],
)
def test_a_planted_twin_is_caught(clips: Clips, fold: Fold, learns: str, judges: str) -> None:
    twins = clips.twins.copy()
    twins[getattr(fold, learns)[0]] = twins[getattr(fold, judges)[0]]
    with pytest.raises(
        Leak, match=f"a recording of .* is both in its part {learns} and in its part {judges}"
    ):
        check(replace(clips, twins=twins), fold)


def test_choosing_on_the_test_part_is_caught_unless_it_is_said(clips: Clips) -> None:
    habit = baseline_fold(clips, DROP, 42, select_on_test=True)
    with pytest.raises(Leak, match="in its part validation and in its part test"):
        check(clips, replace(habit, selects_on_test=False))
    in_training = replace(habit, train=np.append(habit.train, habit.test[0]))
    with pytest.raises(Leak, match="in its part train and in its part test"):
        check(clips, in_training)


def test_speech_and_song_are_told_by_ravdess_names() -> None:
    names = "a/03-01-01-01-01-01-07.wav", "03-02-01-01-01-01-07.flac", "speech.wav"
    assert [channel(Example(name, "calm", "07")) for name in names] == ["speech", "song", None]
