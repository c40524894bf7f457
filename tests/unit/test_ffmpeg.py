"""What FFmpeg reads by PyAV where libsndfile does not: sound, damaged, odd, and without the extra."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.errors.recordings import (
    NeedsAv,
    NotAudio,
    UnlikelyHeader,
    UnreadCodec,
)
from tests.audio_builders import encoded
from tests.unit.serving import decode_start


@pytest.mark.parametrize(
    ("container", "codec", "sampling_rate"),
    [
        ("ipod", "aac", 44100),
        ("ipod", "alac", 48000),
        ("adts", "aac", 16000),
        ("amr", "libopencore_amrnb", 8000),
        ("3gp", "libopencore_amrnb", 8000),
    ],
)
def test_what_libsndfile_does_not_read_is_read_by_pyav(
    container: str, codec: str, sampling_rate: int
) -> None:
    voice = speech_like("happy", sampling_rate, 4.0, seed=1)
    recording = decode_start(encoded(voice, sampling_rate, container, codec), "recording.raw")
    assert recording.duration_s == pytest.approx(4.0, abs=0.1)  # AAC without a container has its run-in
    assert len(recording.samples) == 48000
    expected = decode_start(wav_bytes(voice, sampling_rate)).samples
    # Codecs begin with up to 1,024 samples of their own.
    delay = int(np.correlate(recording.samples[:20_000], expected[2000:15_000], "valid").argmax()) - 2000
    assert 0 <= delay <= 1024
    assert np.corrcoef(expected[:40_000], recording.samples[delay : 40_000 + delay])[0, 1] > 0.9


def test_an_m4a_with_names_that_are_no_utf_8_is_read_and_one_without_channels_or_format_is_not() -> None:
    m4a = encoded(speech_like("happy", 16000, 0.3, seed=1), 16000, "ipod", "alac")
    assert len(decode_start(m4a.replace(b"Lavf", b"\xff\xe9av")).samples) == 4800
    sample_entry = m4a.find(b"alac")
    with pytest.raises(UnreadCodec, match="^a.wav is coded as xxxx, which is not read"):
        decode_start(m4a[:sample_entry] + b"xxxx" + m4a[sample_entry + 4 :])
    with pytest.raises(UnreadCodec, match=r"is coded as \\x00\\xe9\\nx, which is not read"):
        decode_start(m4a[:sample_entry] + b"\x00\xe9\nx" + m4a[sample_entry + 4 :])
    silent = bytearray(m4a)
    for place in (sample_entry + 21, m4a.find(b"alac", sample_entry + 4) + 17):
        assert silent[place] == 1
        silent[place] = 0
    with pytest.raises(UnlikelyHeader, match="0 channels"):
        decode_start(bytes(silent))


OPENS = """
import resource, sys
from shared.audio.decode import decode
from shared.limits import decode_limits
from shared.core.errors.recordings import ClipError
from shared.core.settings import Settings

limits = resource.getrlimit(resource.RLIMIT_AS)
def tried(content):
    try:
        decode(content, "a.m4a", sampling_rate=16000, seconds=3.0, limits=decode_limits(Settings()))
    except ClipError as error:
        print(error.code)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
content = sys.stdin.buffer.read()
before = tried(content[: len(content) // 2])
print(tried(content) - before, resource.getrlimit(resource.RLIMIT_AS) == limits)
"""


def test_an_m4a_that_claims_packets_by_the_million_takes_no_memory_for_them() -> None:
    """In a process of one thread, as the classifying workers have it."""
    amr = bytearray(encoded(speech_like("sad", 8000, 0.3, seed=1), 8000, "3gp", "libopencore_amrnb"))
    sizes = amr.find(b"stsz") + 8
    struct.pack_into(">2L", amr, sizes, 13, 50_000_000)  # so many packets, all of 13 bytes
    done = subprocess.run([sys.executable, "-c", OPENS], input=bytes(amr), capture_output=True, check=True)
    *codes, taken_kib, is_as_before = done.stdout.decode().split()
    assert codes == ["not_audio", "not_audio"]
    assert int(taken_kib) < 200 * 1024
    assert is_as_before == "True"


def test_an_m4a_whose_header_leaves_no_memory_to_read_on_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    m4a = encoded(speech_like("happy", 16000, 0.3, seed=1), 16000, "ipod", "alac")

    def takes_all(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(av, "open", takes_all)
    with pytest.raises(NotAudio, match=r"its header is damaged \(it asks for too much memory\)"):
        decode_start(m4a)


@pytest.mark.parametrize("layout", ["stereo", "5.1", "7.1"])
def test_aac_of_many_channels_is_mixed(layout: str) -> None:
    voice = speech_like("angry", 16000)
    alone = decode_start(encoded(voice, 16000, "adts", "aac"))
    several = decode_start(encoded(voice, 16000, "adts", "aac", layout))
    assert several.samples.shape == alone.samples.shape
    assert np.corrcoef(several.samples, alone.samples)[0, 1] > 0.95


def test_aac_whose_channels_change_on_the_way_is_heard_to_its_end() -> None:
    voice = speech_like("angry", 16000, 1.0)
    mono, stereo = (encoded(voice, 16000, "adts", "aac", layout) for layout in ("mono", "stereo"))
    recording = decode_start(mono + stereo, "a.aac", seconds=None)
    assert (recording.duration_s, recording.flaw) == (pytest.approx(2.1, abs=0.1), None)
    first, second = recording.samples[:16000], recording.samples[-16000:]
    assert np.abs(second).max() == pytest.approx(np.abs(first).max(), rel=0.1)


def test_without_the_extra_av_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(speech_like("happy", 8000, 1.0, seed=1), 8000, "amr", "libopencore_amrnb")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(NeedsAv, match=r"^a.wav is an AMR recording.*pip install av"):
        decode_start(content)


def test_a_video_that_begins_within_the_sound_does_not_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the last packet PyAV may look for a stream that began on the way, by memory that is not its own:
    whether it fails there is chance."""
    flv = encoded(speech_like("happy", 22050, 1.0, seed=1), 22050, "flv", "libmp3lame")
    picture = struct.pack(">B", 9) + bytes([0, 0, 5]) + bytes(7) + b"\x12\0\0\0\0" + struct.pack(">L", 16)
    opened = av.open

    class Unlucky:
        def __init__(self, *given: object, **named: object) -> None:
            self._container = opened(*given, **named)

        def __getattr__(self, name: str) -> object:
            return getattr(self._container, name)

        def demux(self, *streams: object) -> Iterator[object]:
            yield from self._container.demux(*streams)
            raise IndexError("list index out of range")

    for kind in (opened, Unlucky):
        monkeypatch.setattr(av, "open", kind)
        recording = decode_start(flv + 3 * picture)
        assert abs(recording.duration_s - 1.0) < 0.1
        assert recording.flaw is None


def test_two_threads_that_open_at_once_leave_no_limit_of_memory_behind() -> None:
    m4a = encoded(speech_like("happy", 16000, 0.2, seed=1), 16000, "ipod", "aac")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with ThreadPoolExecutor(8) as threads:
        found = [entry.result() for entry in [threads.submit(decode_start, m4a) for _ in range(200)]]
    assert {len(recording.samples) for recording in found} == {len(decode_start(m4a).samples)}
    assert resource.getrlimit(resource.RLIMIT_AS) == limits
