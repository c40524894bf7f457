"""Windows: where they begin and end, how a stream is cut into them, and that memory does not grow."""

from __future__ import annotations

import io
import sys
import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.audio.cutting import Window, cut, windows_of
from shared.audio.decode import Stream, decode
from shared.audio.spec import BASELINE_V6, VOICE_V7, FeatureSpec
from shared.audio.synthesis import flac_bytes, speech_like, wav_bytes
from shared.audio.windows import Windows, sliding, spread
from shared.core.errors.base import VoxmoodError
from shared.core.errors.recordings import NotARecording, NotAudio, NotFinite, UnlikelyHeader
from shared.core.errors.windows import HopTooLong, WindowTooLong, WindowUnasked
from shared.core.settings import Settings
from shared.limits import decode_limits
from tests.audio_builders import chunk, encoded, format_chunk, riff, written

LIMITS = decode_limits(Settings())
RATE = 16_000
ALL = replace(BASELINE_V6, covers="all")
MEBIBYTE = 2**20


def stream_of(source: bytes | BinaryIO, seconds: float | None = None, sampling_rate: int = RATE) -> Stream:
    return Stream(source, "a.wav", sampling_rate=sampling_rate, seconds=seconds, limits=LIMITS)


def windows(source: bytes | BinaryIO, wanted: Windows, spec: FeatureSpec = BASELINE_V6) -> list[Window]:
    wanted.check(spec, "v")
    return list(windows_of(stream_of(source), spec, wanted))


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


@pytest.mark.parametrize("sampling_rate", [8000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize("seconds", [None, 3.0])
def test_a_stream_has_the_samples_of_a_decode(sampling_rate: int, seconds: float | None) -> None:
    recording = wav_bytes(speech_like("angry", sampling_rate, 7.3, seed=2), sampling_rate)
    expected = decode(recording, "a.wav", sampling_rate=RATE, seconds=seconds, limits=LIMITS)
    stream = stream_of(recording, seconds)
    samples = np.concatenate(list(stream.blocks()))
    assert np.array_equal(samples[:, 0], expected.samples)
    assert stream.duration_s == stream.claimed_s == expected.duration_s


def test_m4a_is_streamed_too() -> None:
    recording = encoded(speech_like("angry", 44_100, 7.0, seed=2), 44_100, "ipod", "aac")
    expected = decode(recording, "a.m4a", sampling_rate=RATE, seconds=None, limits=LIMITS)
    samples = np.concatenate(list(stream_of(recording).blocks()))
    assert np.array_equal(samples[:, 0], expected.samples)


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


FLAC = flac_bytes(speech_like("neutral", RATE, 60.0, seed=5), RATE)


def test_of_a_recording_that_is_cut_off_what_is_there_is_heard() -> None:
    stream = stream_of(FLAC[: len(FLAC) // 2])
    found = list(windows_of(stream, ALL, Windows()))
    assert stream.claimed_s == 60.0
    assert 20.0 < stream.duration_s < 35.0
    assert found[-1].end_s == pytest.approx(stream.duration_s, abs=1e-3)
    assert found[-1].end_s - found[-1].start_s == 3.0
    assert stream.flaw is not None
    assert stream.flaw.startswith("its data is damaged at about ")


def test_behind_damage_a_recording_is_heard_further() -> None:
    middle = len(FLAC) // 2
    stream = stream_of(FLAC[:middle] + bytes(5000) + FLAC[middle + 5000 :])
    assert list(windows_of(stream, ALL, Windows()))[-1].end_s == pytest.approx(60.0, abs=1.0)
    assert 59.0 < stream.duration_s < 60.0
    assert stream.flaw is not None


def test_without_the_extra_av_what_comes_before_damage_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    stream = stream_of(FLAC[: len(FLAC) // 2])
    assert 20.0 < list(windows_of(stream, ALL, Windows()))[-1].end_s == stream.duration_s < 31.0
    assert stream.flaw is not None
    with pytest.raises(NotAudio, match="its data is damaged or cut off"):
        list(stream_of(FLAC[: len(FLAC) // 2], seconds=40.0).blocks())


def test_a_flac_that_does_not_say_its_length_is_heard_to_its_last_block() -> None:
    unsaid = bytearray(FLAC)
    assert unsaid[4] & 0x7F == 0, "STREAMINFO comes first; its last 36 bits before the MD5 are the length"
    unsaid[21] &= 0xF0
    unsaid[22:26] = bytes(4)
    stream = stream_of(bytes(unsaid))
    found = list(windows_of(stream, ALL, Windows()))
    assert stream.claimed_s > 1e9
    assert stream.duration_s == 60.0
    assert 60.0 - 0.1 < found[-1].end_s <= 60.0
    assert len(found) >= 37


def test_a_recording_that_is_damaged_from_the_beginning_or_is_no_numbers_fails() -> None:
    with pytest.raises(NotAudio, match="damaged or cut off"):
        windows(FLAC[:100] + bytes(9000), Windows("sliding"))
    samples = speech_like("neutral", RATE, 30.0, seed=5)
    samples[20 * RATE] = np.nan
    with pytest.raises(NotFinite, match="at 20.000 s"):
        windows(wav_bytes(samples, RATE, "FLOAT"), Windows("sliding"))
    with pytest.raises(NotARecording, match="is a text file"):
        windows(b"minutes of the meeting" * 100, Windows("sliding"))


def test_a_failure_of_the_source_is_raised_and_not_taken_for_damage() -> None:
    class LeaseLost(Exception):
        pass

    class Source(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > len(FLAC) // 2:
                raise LeaseLost
            return super().read(size)

    with pytest.raises(LeaseLost):
        windows(Source(FLAC), Windows("sliding"))


def test_a_stream_of_the_lowest_rate_takes_little_memory_and_below_it_there_is_none() -> None:
    with_peak_from_now()
    before = at_rest()
    slow = riff(format_chunk(1000), chunk(b"data", bytes(2 * 600_000)))
    assert len(windows(slow, Windows("sliding", 3.0, 3.0))) == 200
    assert peak_bytes() - before < 200 * 3 * RATE * 4 + 32 * MEBIBYTE
    with pytest.raises(UnlikelyHeader, match="999 Hz, which no recording has"):
        stream_of(riff(format_chunk(999), chunk(b"data", bytes(2 * 600_000))))


class Endless(io.RawIOBase):
    """A WAV file of 16-bit mono that is made while it is read."""

    def __init__(self, sampling_rate: int, seconds: int) -> None:
        size = 2 * sampling_rate * seconds
        self._head = riff(format_chunk(sampling_rate), chunk(b"data", b"", size), size=36 + size)
        self._size = len(self._head) + size
        self._second = (speech_like("happy", sampling_rate, 1.0, seed=1) * 32767).astype("<i2").tobytes()
        self._place = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence] + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._place + size)
        piece = self._head[self._place : end]
        begin = (self._place + len(piece) - len(self._head)) % len(self._second)
        rest = end - self._place - len(piece)
        seconds = -(-(begin + rest) // len(self._second))
        self._place = end
        return piece + (self._second * seconds)[begin : begin + rest]


def with_peak_from_now() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def at_rest() -> int:
    return _of_status("VmRSS")


def peak_bytes() -> int:
    """The largest resident memory since `with_peak_from_now`."""
    return _of_status("VmHWM")


def _of_status(name: str) -> int:
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) * 1024


@pytest.mark.parametrize(("sampling_rate", "hours"), [(RATE, 3), (8_000, 3), (48_000, 1)])
def test_three_hours_take_no_more_memory_than_a_minute(sampling_rate: int, hours: int) -> None:
    def heard(seconds: int) -> tuple[int, float]:
        with_peak_from_now()
        before, last_s, count = at_rest(), 0.0, 0
        source = Endless(sampling_rate, seconds)
        for window in windows_of(stream_of(source), BASELINE_V6, Windows("sliding", 3.0, 3.0)):  # type: ignore[arg-type]
            last_s, count = window.end_s, count + 1
        assert count == -(-seconds // 3)
        return peak_bytes() - before, last_s

    heard(60)
    short, _ = heard(60)
    long, last_s = heard(hours * 3600)
    assert last_s == hours * 3600
    assert long < short + 16 * MEBIBYTE, f"{short / MEBIBYTE:.1f} and {long / MEBIBYTE:.1f} MiB"


def test_many_channels_are_streamed_in_bounds() -> None:
    many = written(np.zeros((20 * 48_000, 64), np.float32), 48_000, "WAV", "PCM_16")
    tracemalloc.start()  # resident memory also counts what a process that has trained does not give back
    try:
        found = windows(many, Windows("sliding", 3.0, 3.0, "separate"))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [window.channel for window in found[:64]] == list(range(1, 65))
    assert all(window.is_silent for window in found)
    samples_bytes = sum(window.samples.nbytes for window in found)
    assert samples_bytes < peak_bytes < samples_bytes + 64 * MEBIBYTE
