"""What a decode does not read or hold, and whose failure is whose: the recording's or its source's."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from shared.audio.decode import decode
from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.errors.recordings import NotAudio, Unreadable
from shared.core.settings import Settings
from shared.limits import decode_limits
from tests.audio_builders import encoded, written
from tests.unit.serving import decode_start

LIMITS = decode_limits(Settings())


def test_what_is_wrong_after_the_part_that_is_read_does_no_harm() -> None:
    samples = speech_like("calm", 16000, 4.0, seed=6)
    samples[-1] = np.nan
    assert decode_start(wav_bytes(samples, 16000, "FLOAT")).duration_s == 4.0


class EndlessRecording(io.RawIOBase):
    """A 3 GB WAV file that exists only where it is read; some reads are short."""

    def __init__(self) -> None:
        self.bytes_read = 0
        size = 3 * 2**30
        header = bytearray(wav_bytes(np.zeros(1, np.float32), 16000)[:44])
        header[4:8], header[40:44] = (size - 8).to_bytes(4, "little"), (size - 44).to_bytes(4, "little")
        self.header, self.size, self.place = bytes(header), size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = offset + (0, self.place, self.size)[whence]
        return self.place

    def tell(self) -> int:
        return self.place

    def read(self, size: int = -1) -> bytes:
        end = min(self.size, self.place + min(size, 1000))
        piece = self.header[self.place : end]
        piece += b"\x10\x00" * ((end - self.place - len(piece) + 1) // 2)
        piece = piece[: end - self.place]
        self.place = end
        self.bytes_read += len(piece)
        return piece


def test_of_a_large_recording_only_the_beginning_is_read() -> None:
    file = EndlessRecording()
    recording = decode(file, "endless.wav", sampling_rate=16000, seconds=3.0, limits=LIMITS)  # type: ignore[arg-type]
    assert recording.duration_s == pytest.approx(3 * 2**30 / 32000, rel=1e-3)
    assert len(recording.samples) == 48000
    assert recording.samples.min() == recording.samples.max() == np.float32(16 / 2**15)
    assert file.bytes_read < 200_000


class Counted(io.BytesIO):
    """A file that knows how much of it was read."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self.bytes_read += len(piece)
        return piece


@pytest.mark.parametrize("container", ["FLAC", "AIFF", "RF64", "M4A"])
def test_of_five_minutes_only_the_beginning_is_read(container: str) -> None:
    voice = np.tile(speech_like("angry", 16000, 10.0, seed=8), 30)
    if container == "M4A":
        content = encoded(voice, 16000, "ipod", "alac")
    else:
        content = written(voice, 16000, container, "PCM_16")
    file = Counted(content)
    assert decode_start(file).duration_s == pytest.approx(300)
    assert file.bytes_read < len(content) / 10


class GoneStore(io.BytesIO):
    """A source whose store goes away."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 40_000:
            raise ConnectionError("the store is gone")
        return super().read(size)


def test_a_header_that_points_before_the_file_or_far_behind_it_is_no_failure_of_the_source(
    tmp_path: Path,
) -> None:
    voice = speech_like("happy", 16000, 0.3, seed=1)
    aiff = written(voice, 16000, "AIFF", "ULAW").replace(b"ulaw\0\0SSND", b"ulaw\0\xff\0\0\0D")[:194]
    with pytest.raises(NotAudio):
        decode_start(aiff)
    w64 = bytearray(written(voice, 16000, "W64", "PCM_16"))
    struct.pack_into("<Q", w64, w64.find(b"data") + 16, 2**62)
    file = tmp_path / "far.w64"
    file.write_bytes(w64)
    with file.open("rb") as source:
        assert len(decode_start(source).samples) == len(voice)


def test_what_the_source_raises_is_not_blamed_on_the_recording() -> None:
    with pytest.raises(ConnectionError, match="the store is gone"):
        decode_start(GoneStore(wav_bytes(speech_like("calm", 16000, 4.0), 16000)))


def test_what_no_one_foresaw_becomes_an_error_of_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("never seen before")

    monkeypatch.setattr("soxr.resample", fail)
    with pytest.raises(Unreadable, match="^b.wav could not be read: never seen before"):
        decode_start(wav_bytes(speech_like("calm", 8000, 1.0), 8000), "b.wav")
