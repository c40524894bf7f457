"""Segments: what a version hears in each window, and that a clip's outcome is their mean."""

from __future__ import annotations

import io
from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from shared.audio.levels import levels, voice_weights
from shared.audio.rumble import without_rumble
from shared.audio.synthesis import flac_bytes, speech_like, wav_bytes
from shared.audio.windows import Windows
from shared.core.errors.windows import WindowTooLong
from shared.core.settings import REPOSITORY, Settings
from shared.limits import decode_limits
from shared.models.serving.classifier import Classifier
from shared.models.serving.clip_results import ClipResult, Segment

SHIPPED = REPOSITORY / "saved_models"
RATE = 16_000
SLIDING = Windows("sliding")
SEPARATE = Windows("sliding", channels="separate")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(SHIPPED, "seed-v6")


@pytest.fixture(scope="module")
def whole(classifier: Classifier) -> Classifier:
    """The same network, of a version that hears all of a recording."""
    spec = replace(classifier.manifest.feature_spec, covers="all")
    changed = copy(classifier)
    changed.manifest = classifier.manifest.model_copy(update={"feature_spec": spec})
    return changed


def voice(emotion: str, seconds: float, seed: int = 1) -> np.ndarray:
    return speech_like(emotion, RATE, seconds, seed)


def wav(*channels: np.ndarray) -> bytes:
    return wav_bytes(np.stack(channels, axis=1), RATE, "FLOAT")


def one(
    classifier: Classifier, recording: bytes, windows: Windows, threshold: float | None = None
) -> ClipResult:
    return classifier.classify([("a.wav", recording)], threshold, windows=windows)[0]


def table(answers: Sequence[Segment | ClipResult]) -> np.ndarray:
    return np.array([list((one.probabilities or {}).values()) for one in answers])


def mean(answers: Sequence[Segment | ClipResult], windows: Sequence[np.ndarray]) -> np.ndarray:
    """Of the answers to these windows, weighted by the voice in them."""
    counts = np.stack([levels(without_rumble(window, RATE), RATE) for window in windows])
    return np.average(table(answers), axis=0, weights=voice_weights(counts))


def cut(sound: np.ndarray, answers: Sequence[Segment]) -> list[np.ndarray]:
    return [sound[round(one.start_s * RATE) : round(one.end_s * RATE)] for one in answers]


def test_silence_takes_no_part_in_a_clip_s_probabilities(classifier: Classifier) -> None:
    sound, silence = voice("angry", 3.0), np.zeros(6 * RATE, np.float32)
    faint = (np.random.default_rng(0).normal(size=len(silence)) * 1e-4).astype(np.float32)
    windows = Windows("sliding", 3.0, 3.0)
    alone = one(classifier, wav(sound), windows)
    for around in (silence, faint):
        verdict = one(classifier, wav(np.concatenate([around, sound, around])), windows)
        assert np.abs(table([verdict]) - table([alone])).max() < 1e-2


def test_a_clip_s_probabilities_are_the_mean_of_its_segments_by_their_voice(
    classifier: Classifier,
) -> None:
    sound = np.concatenate([voice("angry", 3.0), voice("calm", 4.0)])
    verdict = one(classifier, wav(sound), SLIDING, threshold=0.5)
    assert [(segment.start_s, segment.end_s) for segment in verdict.segments] == [
        (0.0, 3.0), (1.5, 4.5), (3.0, 6.0), (4.5, 7.0),
    ]  # fmt: skip
    assert {segment.channel for segment in verdict.segments} == {""}
    assert np.ptp(table(verdict.segments), axis=0).max() > 0.05, "the windows are heard alike"
    expected = mean(verdict.segments, cut(sound, verdict.segments))
    assert np.allclose(table([verdict])[0], expected, atol=1e-6)
    assert verdict.confidence == max((verdict.probabilities or {}).values())
    assert verdict.duration_s == 7.0
    for segment in verdict.segments:
        assert segment.confidence == max((segment.probabilities or {}).values())
        assert (segment.outcome == "classified") == (segment.confidence >= 0.5)
        assert (segment.emotion is not None) == (segment.outcome == "classified")


def test_each_segment_is_what_its_cut_is_as_a_clip(classifier: Classifier) -> None:
    sound = voice("happy", 5.0)
    windows = Windows("sliding", win_s=1.0, hop_s=1.0)
    segments = one(classifier, wav(sound), windows).segments
    assert len(segments) == 5
    cuts = [(f"{n}.wav", wav(sound[n * RATE : (n + 1) * RATE])) for n in range(5)]
    assert np.abs(table(segments) - table(classifier.classify(cuts))).max() < 1e-5


def test_separate_channels_are_heard_each_by_itself_and_the_clip_over_all(classifier: Classifier) -> None:
    left, right = voice("angry", 4.5), voice("calm", 4.5)
    verdict = one(classifier, wav(left, right), SEPARATE)
    assert [(segment.channel, segment.start_s) for segment in verdict.segments] == [
        ("1", 0.0), ("1", 1.5), ("2", 0.0), ("2", 1.5),
    ]  # fmt: skip
    alone = [one(classifier, wav(channel), SLIDING).segments for channel in (left, right)]
    assert np.abs(table(verdict.segments) - table([*alone[0], *alone[1]])).max() < 1e-5
    assert np.abs(table(alone[0]) - table(alone[1])).max() > 0.05, "the channels are heard alike"
    sounds = cut(left, verdict.segments[:2]) + cut(right, verdict.segments[2:])
    assert np.allclose(table([verdict])[0], mean(verdict.segments, sounds), atol=1e-6)
    mixed = one(classifier, wav(left, right), SLIDING)
    assert np.abs(table([mixed]) - table([verdict])).max() > 1e-3


def test_separate_channels_of_a_clip_are_segments_of_its_own_windows(
    classifier: Classifier, whole: Classifier
) -> None:
    left, right = voice("angry", 5.0), voice("calm", 5.0)
    as_clip = Windows(channels="separate")
    of_start = one(classifier, wav(left, right), as_clip).segments
    assert [(segment.channel, segment.start_s, segment.end_s) for segment in of_start] == [
        ("1", 0.0, 3.0), ("2", 0.0, 3.0),
    ]  # fmt: skip
    alone = classifier.classify([("l.wav", wav(left)), ("r.wav", wav(right))])
    assert np.abs(table(of_start) - table(alone)).max() < 1e-5
    of_all = one(whole, wav(left, right), as_clip).segments
    assert [(segment.channel, segment.start_s) for segment in of_all] == [
        (channel, start_s) for channel in "12" for start_s in (0.0, 1.0, 2.0)
    ]


def test_ten_channels_stand_in_their_order(classifier: Classifier) -> None:
    many = wav(*(voice("happy", 0.5, seed) for seed in range(10)))
    channels = [segment.channel for segment in one(classifier, many, SEPARATE).segments]
    assert channels == [str(number) for number in range(1, 11)]


def test_a_clip_of_a_version_that_hears_all_is_the_mean_of_its_windows_and_keeps_no_segments(
    classifier: Classifier, whole: Classifier
) -> None:
    sound = np.concatenate([voice("angry", 2.0), voice("calm", 3.0)])
    verdict = one(whole, wav(sound), Windows())
    assert verdict.segments == ()
    sounds = [sound[n * RATE : (n + 3) * RATE] for n in range(3)]
    cuts = classifier.classify([(f"{n}.wav", wav(one)) for n, one in enumerate(sounds)])
    assert np.abs(table([verdict])[0] - mean(cuts, sounds)).max() < 1e-5
    short = wav(voice("sad", 1.0))
    assert (
        np.abs(table([one(whole, short, Windows())]) - table([one(classifier, short, Windows())])).max()
        < 1e-5
    )


def test_results_do_not_depend_on_batch_or_neighbours(classifier: Classifier) -> None:
    clips = [
        (f"{n}.wav", wav_bytes(speech_like("happy", rate, 1.0 + 2 * n, seed=n), rate))
        for n, rate in enumerate((16_000, 48_000, 8_000, 22_050))
    ]
    alone = [one(classifier, content, SLIDING) for _, content in clips]
    mixed = [*clips[:2], ("x.wav", b"no audio"), ("silent.wav", wav(np.zeros(9 * RATE))), *clips[2:]]
    for batch_clips in (1, 5, 32):
        found = classifier.classify(mixed, batch_clips=batch_clips, windows=SLIDING)
        found = [*found[:2], *found[4:]]
        assert np.abs(table(found) - table(alone)).max() < 1e-5
        for ours, theirs in zip(found, alone, strict=True):
            assert np.abs(table(ours.segments) - table(theirs.segments)).max() < 1e-5


def test_silent_windows_are_no_voice_and_take_no_part(classifier: Classifier) -> None:
    sound = voice("angry", 3.0)
    silence = np.full(6 * RATE, 9e-5, np.float32)
    windows = Windows("sliding", hop_s=3.0)
    verdict = one(classifier, wav(np.concatenate([silence, sound])), windows)
    assert [segment.outcome for segment in verdict.segments[:2]] == ["no_voice"] * 2
    assert [segment.probabilities for segment in verdict.segments[:2]] == [None] * 2
    assert np.abs(table([verdict]) - table([one(classifier, wav(sound), Windows())])).max() < 1e-5
    nobody = one(classifier, wav(silence), windows)
    assert (nobody.outcome, nobody.confidence, nobody.threshold) == ("no_voice", None, None)
    assert [segment.outcome for segment in nobody.segments] == ["no_voice"] * 2
    half = one(classifier, wav(np.zeros_like(sound), sound), SEPARATE)
    assert [segment.outcome == "no_voice" for segment in half.segments] == [True, False]


def test_between_two_batches_the_caller_is_asked_and_may_end_it(classifier: Classifier) -> None:
    asked = []
    recording = wav(np.zeros(30 * RATE))  # 19 windows, all silent
    clips = [("a.wav", recording), ("b.wav", recording)]
    classifier.classify(clips, batch_clips=8, windows=SLIDING, between=lambda: asked.append(1))
    assert len(asked) == 4

    class LeaseLost(Exception):
        pass

    def lost() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        classifier.classify(clips, batch_clips=8, windows=SLIDING, between=lost)
    classifier.classify([("a.wav", recording)] * 8, batch_clips=8, between=lost)  # one batch


def test_a_recording_with_too_many_windows_fails_in_a_sentence_and_the_others_do_not() -> None:
    strict = Classifier.load(SHIPPED, "seed-v6", limits=replace(decode_limits(Settings()), max_windows=4))
    clips = [(f"{seconds}.wav", wav(voice("happy", seconds))) for seconds in (7.5, 9.0)]
    fits, over = strict.classify(clips, windows=SLIDING)
    assert len(fits.segments) == 4
    assert (over.outcome, over.error_code, over.segments) == ("failed", "too_many_windows", ())
    assert over.error == (
        "9.0.wav has over 4 windows, the most that are heard of a recording (VOXMOOD_MAX_WINDOWS). "
        "Choose a longer hop, or cut it into pieces."
    )


def test_of_a_damaged_recording_what_came_before_has_segments(classifier: Classifier) -> None:
    whole = flac_bytes(voice("happy", 60.0), RATE)
    verdict = one(classifier, whole[: len(whole) // 2], SLIDING)
    assert verdict.outcome in ("classified", "rejected")
    assert verdict.duration_s == pytest.approx(28, abs=4)
    assert verdict.segments[-1].end_s == pytest.approx(verdict.duration_s, abs=0.1)


def test_a_window_that_is_longer_than_the_network_s_input_is_refused(classifier: Classifier) -> None:
    with pytest.raises(WindowTooLong, match="seed-v6 hears at once"):
        classifier.classify([("a.wav", io.BytesIO())], windows=Windows("sliding", 4.0))
