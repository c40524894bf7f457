"""Windows: where they begin and end, and how a stream is cut into them."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.audio.cutting import Window, cut, windows_of
from shared.audio.spec import BASELINE_V6, VOICE_V7
from shared.audio.synthesis import speech_like, wav_bytes
from shared.audio.windows import Windows, sliding, spread
from shared.core.errors.base import VoxmoodError
from shared.core.errors.windows import HopTooLong, WindowTooLong, WindowUnasked
from tests.unit.streaming import ALL, RATE, stream_of, windows


def bounds(found: list[Window]) -> list[tuple[float, float]]:
    return [(window.start_s, window.end_s) for window in found]


@settings(deadline=None)  # beside other programs an example takes longer than Hypothesis' 200 ms
@given(total=st.integers(1, 5000), length=st.integers(1, 400), least=st.integers(1, 50))
def test_a_clip_s_windows_cover_all_of_it_evenly_and_end_at_its_end(
    total: int, length: int, least: int
) -> None:
    starts = list(spread(total, length, least))
    assert starts[0] == 0
    if total - length < least:
        assert starts == [0]
        return
    assert starts[-1] + length == total
    steps = [after - before for before, after in pairwise(starts)]
    assert max(steps) <= (length + 1) // 2
    assert max(steps) - min(steps) <= 1
    fewer = len(steps) - 1
    assert fewer * length < 2 * (total - length), "one window fewer would have done"


def test_sliding_windows_do_not_drift() -> None:
    assert list(islice(sliding(0.1 * RATE), 5)) == [0, 1600, 3200, 4800, 6400]
    assert next(islice(sliding(1.5 * 44_100 / 7), 700, None)) == 6_615_000


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        (Windows("sliding", 3.5), WindowTooLong, "3.5 s are longer than the 3 s that model version v hears"),
        (Windows("sliding", None, 3.2), HopTooLong, "A hop of 3.2 s would leave gaps between windows of 3 s"),
        (Windows("sliding", 1.0, 1.1), HopTooLong, "A hop of 1.1 s would leave gaps between windows of 1 s"),
        (Windows("clip", 2.0), WindowUnasked, "those of sliding windows"),
        (Windows("clip", None, 2.0), WindowUnasked, "those of sliding windows"),
    ],
)
def test_windows_that_a_version_cannot_hear_are_refused_in_a_sentence(
    wanted: Windows, error: type[VoxmoodError], words: str
) -> None:
    with pytest.raises(error, match=words):
        wanted.check(BASELINE_V6, "v")


def test_what_is_not_said_of_windows_is_the_version_s_length_and_half_of_it() -> None:
    for wanted, spec, lengths in (
        (Windows("sliding"), BASELINE_V6, (3.0, 1.5)),
        (Windows("sliding"), VOICE_V7, (6.4, 3.2)),
        (Windows("sliding", 2.0), BASELINE_V6, (2.0, 1.0)),
        (Windows("sliding", None, 0.5), BASELINE_V6, (3.0, 0.5)),
        (Windows("sliding", 0.1), BASELINE_V6, (0.1, 0.1)),
    ):
        wanted.check(spec, "v")
        assert wanted.lengths(spec) == lengths


@settings(max_examples=50, deadline=None)
@given(
    total=st.integers(1, 600),
    block=st.integers(1, 200),
    length=st.integers(1, 120),
    hop=st.integers(1, 120),
    ends_full=st.booleans(),
)
def test_a_stream_is_cut_the_same_whatever_its_blocks_and_every_sample_is_heard(
    total: int, block: int, length: int, hop: int, ends_full: bool
) -> None:
    hop = min(hop, length)
    samples = np.arange(total, dtype=np.float32)[:, np.newaxis]
    blocks = (samples[start : start + block] for start in range(0, total, block))
    found = list(cut(blocks, sliding(hop), length, 5, ends_full=ends_full))
    whole = list(cut([samples], sliding(hop), length, 5, ends_full=ends_full))
    assert [start for start, _ in found] == [start for start, _ in whole]
    for start, piece in found:
        assert np.array_equal(piece, samples[start : start + len(piece)])
        assert len(piece) == length or (start, piece) == found[-1]
    heard = max(start + len(piece) for start, piece in found)
    assert total - heard < 5
    if ends_full and total >= length:
        assert all(len(piece) == length for _, piece in found)


def test_the_last_sliding_window_is_shorter_if_a_tenth_of_a_second_of_it_is_new() -> None:
    for seconds, expected in (
        (0.5, [(0.0, 0.5)]),
        (3.0, [(0.0, 3.0)]),
        (3.09, [(0.0, 3.0)]),
        (3.2, [(0.0, 3.0), (1.5, 3.2)]),
        (4.5, [(0.0, 3.0), (1.5, 4.5)]),
        (4.6, [(0.0, 3.0), (1.5, 4.5), (3.0, 4.6)]),
    ):
        recording = wav_bytes(speech_like("happy", RATE, seconds, seed=1), RATE)
        assert bounds(windows(recording, Windows("sliding"))) == expected


def test_windows_of_a_clip_are_those_that_the_features_say() -> None:
    five_s = wav_bytes(speech_like("happy", RATE, 5.0, seed=1), RATE)
    short = wav_bytes(speech_like("happy", RATE, 1.0, seed=1), RATE)
    assert bounds(windows(five_s, Windows(), ALL)) == [(0.0, 3.0), (1.0, 4.0), (2.0, 5.0)]
    assert bounds(windows(short, Windows(), ALL)) == [(0.0, 1.0)]
    start = windows_of(stream_of(five_s, seconds=BASELINE_V6.seconds), BASELINE_V6, Windows())
    assert bounds(list(start)) == [(0.0, 3.0)]


def test_a_window_is_all_of_its_recording_if_it_ends_before_it_would() -> None:
    def are_all(seconds: float, wanted: Windows) -> list[bool]:
        recording = wav_bytes(speech_like("happy", RATE, seconds, seed=1), RATE)
        return [window.is_all for window in windows(recording, wanted, ALL)]

    assert are_all(1.0, Windows()) == [True]
    assert are_all(5.0, Windows()) == [False] * 3
    assert are_all(3.0, Windows()) == [False], "nobody knows yet that nothing follows"
    assert are_all(2.5, Windows("sliding", 1.0, 1.0)) == [False] * 3
    assert are_all(0.5, Windows("sliding", 1.0, 1.0)) == [True]
    assert are_all(1.0, Windows(channels="separate")) == [False], (
        "another channel's window would be weighed too"
    )


def test_separate_channels_are_heard_by_themselves_and_mixed_ones_are_their_mean() -> None:
    left, right = (speech_like(emotion, RATE, 4.0, seed=3) for emotion in ("angry", "calm"))
    stereo = wav_bytes(np.stack([left, right], axis=1), RATE, "FLOAT")
    separate = windows(stereo, Windows("sliding", 2.0, 2.0, "separate"))
    assert [(one.channel, one.start_s) for one in separate] == [(1, 0.0), (2, 0.0), (1, 2.0), (2, 2.0)]
    assert np.array_equal(separate[2].samples, left[2 * RATE :])
    assert np.array_equal(separate[3].samples, right[2 * RATE :])
    assert separate[3].peak == np.abs(right[2 * RATE :]).max()
    mixed = windows(stereo, Windows("sliding", 2.0, 2.0))
    assert [one.channel for one in mixed] == [0, 0]
    assert np.allclose(mixed[1].samples, (left + right)[2 * RATE :] / 2, atol=1e-7)


def test_a_window_is_silent_by_itself_and_what_cancels_out_is_not_silent() -> None:
    voice = speech_like("angry", RATE, 3.0, seed=4)
    opposed = np.stack([voice, -voice], axis=1)
    recording = wav_bytes(np.concatenate([opposed, np.zeros_like(opposed)]), RATE)
    found = windows(recording, Windows("sliding", 3.0, 3.0))
    assert [window.is_silent for window in found] == [False, True]
