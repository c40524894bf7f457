"""Recordings as streams: the samples of a decode, what is heard of damaged ones, in bounded memory."""

from __future__ import annotations

import io
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from shared.audio.cutting import windows_of
from shared.audio.decode import decode
from shared.audio.spec import BASELINE_V6
from shared.audio.synthesis import flac_bytes, speech_like, wav_bytes
from shared.audio.windows import Windows
from shared.core.errors.recordings import NotARecording, NotAudio, NotFinite, UnlikelyHeader
from tests.audio_builders import chunk, encoded, format_chunk, riff, written
from tests.unit.streaming import ALL, LIMITS, RATE, stream_of, windows

MEBIBYTE = 2**20


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
