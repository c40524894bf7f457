"""What a retraining learns from: which labels make an example, and which emotions a class."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from shared.core.errors.models import NotEnoughLabels
from shared.core.settings import REPOSITORY
from shared.models.serving.manifest import Manifest
from shared.models.serving.registry import read_manifest
from workers.retrain import Choice, choose

CHAMPION: Manifest = read_manifest(REPOSITORY / "saved_models", "seed-v6")


def vote(
    recording: str, emotion: str, labeller: str = "", speaker: str | None = None, clip_id: int = 1
) -> SimpleNamespace:
    """A row as the database gives it; `recording` stands for its bytes."""
    return SimpleNamespace(
        emotion=emotion, speaker=speaker, labeller=labeller, clip_id=clip_id, sha256=recording,
        path=f"{recording}.wav", object_key="jobs/1/shards/1.tar", offset=512, size=9,
    )  # fmt: skip


def enough() -> list[SimpleNamespace]:
    """Two classes of five."""
    return [vote(f"{emotion}{n}", emotion) for emotion in ("angry", "happy") for n in range(5)]


def emotion_of(choice: Choice, recording: str) -> str | None:
    found = [clip.example.emotion for clip in choice.clips if clip.sha256 == recording]
    assert len(found) <= 1
    return found[0] if found else None


def test_the_emotion_that_most_labellers_gave_counts_and_a_tie_counts_for_nothing() -> None:
    votes = [
        vote("x", "calm", "anna"), vote("x", "sad", "bert"), vote("x", "calm", "carl"),
        vote("y", "calm", "anna"), vote("y", "sad", "bert"),
        vote("z", "calm", "anna"), vote("z", "sad", "bert"), vote("z", "angry", "carl"),
    ]  # fmt: skip
    choice = choose(enough() + votes, CHAMPION, 5)
    assert emotion_of(choice, "x") == "calm"
    assert emotion_of(choice, "y") is None
    assert emotion_of(choice, "z") is None


def test_the_same_bytes_are_one_example_by_the_last_word_of_each_labeller() -> None:
    votes = [vote("x", "calm", "anna", clip_id=1), vote("x", "sad", "bert", clip_id=1),
             vote("x", "sad", "anna", clip_id=2)]  # fmt: skip
    choice = choose(enough() + votes, CHAMPION, 5)
    assert emotion_of(choice, "x") == "sad"


def test_labels_with_too_few_examples_are_unknown_beside_the_champion_s_unknowns() -> None:
    votes = [vote(f"calm{n}", "calm") for n in range(4)] + [vote("sad0", "sad")]
    choice = choose(enough() + votes, CHAMPION, 5)
    assert choice.drop == ["calm", "disgust", "fearful", "neutral", "sad", "surprised"]
    assert emotion_of(choice, "calm3") == "calm", "it helps the threshold"
    assert emotion_of(choice, "sad0") == "sad"
    with_one_more = choose([*enough(), *votes, vote("calm4", "calm")], CHAMPION, 5)
    assert "calm" not in with_one_more.drop


def test_a_word_that_the_champion_does_not_know_is_left_out() -> None:
    choice = choose([*enough(), vote("x", "bored")], CHAMPION, 5)
    assert emotion_of(choice, "x") is None
    assert "bored" not in choice.drop


def test_speakers_are_those_that_labellers_named() -> None:
    votes = [vote("x", "calm", "anna", speaker="07"), vote("x", "calm", "bert"), vote("y", "calm")]
    speakers = {clip.sha256: clip.example.speaker for clip in choose(enough() + votes, CHAMPION, 5).clips}
    assert speakers["x"] == "07"
    assert speakers["y"] == "not stated"


def test_clips_of_the_same_path_are_told_apart() -> None:
    votes = enough()
    for number, one in enumerate(votes):
        one.path, one.clip_id = "a.wav", number
    examples = [clip.example for clip in choose(votes, CHAMPION, 5).clips]
    assert len({example.path for example in examples}) == 10


@pytest.mark.parametrize("emotion", ["angry", "sad"])
def test_without_two_classes_it_says_what_there_is(emotion: str) -> None:
    votes = [vote(f"x{n}", emotion) for n in range(9)] + [vote("y", "happy")]
    with pytest.raises(
        NotEnoughLabels, match=r"two emotions with 5 labelled .* Available: angry [09], .* happy 1"
    ):
        choose(votes, CHAMPION, 5)
