"""Decoding: what librosa.load gives, from any container, or a sentence."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest

from shared.audio.decode import decode
from shared.audio.synthesis import flac_bytes, speech_like, wav_bytes
from shared.core.errors.recordings import (
    ClipError,
    Empty,
    NotARecording,
    NotAudio,
    NotFinite,
    TooShort,
    UnlikelyHeader,
)
from shared.core.settings import Settings
from shared.limits import decode_limits
from tests.audio_builders import chunk, encoded, format_chunk, pcm16, rf64, riff, written
from tests.unit.serving import decode_start

LIMITS = decode_limits(Settings())


def stereo(sampling_rate: int, duration_s: float = 4.0) -> np.ndarray:
    left = speech_like("happy", sampling_rate, duration_s, seed=1)
    return np.stack([left, 0.5 * speech_like("angry", sampling_rate, duration_s, seed=2)], axis=1)


@pytest.mark.parametrize("sampling_rate", [8000, 16000, 24414, 44100, 48000, 96000])
def test_samples_equal_those_of_librosa_load(sampling_rate: int, tmp_path: Path) -> None:
    file = tmp_path / "clip.wav"
    file.write_bytes(wav_bytes(stereo(sampling_rate), sampling_rate))
    expected, _ = librosa.load(file, sr=16000, duration=3.0)
    recording = decode_start(file.read_bytes())
    assert recording.samples.dtype == np.float32
    assert abs(len(expected) - len(recording.samples)) <= 1  # librosa rounds the length up
    n = min(len(expected), len(recording.samples))
    assert np.array_equal(expected[:n], recording.samples[:n])


CONTAINERS = [
    *(
        ("WAV", subtype)
        for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW")
    ),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("FLAC", "PCM_24"),
    ("AIFF", "PCM_16"),
    ("AIFF", "FLOAT"),
    ("AIFF", "ULAW"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
def test_a_container_is_told_by_its_content_not_by_its_name(container: str, subtype: str) -> None:
    content = written(speech_like("happy", 48000, 4.0, seed=1), 48000, container, subtype)
    recording = decode_start(content, "recording.raw")
    assert recording.duration_s == pytest.approx(4.0, abs=0.01)
    assert len(recording.samples) == 48000
    assert recording.peak == pytest.approx(0.35, abs=0.02)


def test_a_midi_sample_dump_is_no_recording() -> None:
    with pytest.raises(NotAudio, match="of no known audio format"):
        decode_start(written(speech_like("sad", 16000, 0.3, seed=1), 16000, "SDS", "PCM_16"))


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("sampling_rate", [8000, 192_000])
def test_any_number_of_channels_is_mixed_at_any_rate(channels: int, sampling_rate: int) -> None:
    voice = speech_like("happy", sampling_rate, 0.5, seed=1)
    recording = decode_start(wav_bytes(np.stack([voice] * channels, axis=1), sampling_rate))
    alone = decode_start(wav_bytes(voice, sampling_rate))
    assert np.abs(recording.samples - alone.samples).max() < 1e-6


VOICE = speech_like("happy", 16000, 4.0, seed=1)
PCM, FORMAT = pcm16(VOICE), format_chunk(16000)
TAGS = chunk(b"LIST", b"INFOISFT" + bytes(40))
ODD_WAVS = {
    "a length of 0": riff(FORMAT, chunk(b"data", PCM, 0), size=0),
    "a length of 0xFFFFFFFF": riff(FORMAT, chunk(b"data", PCM, 0xFFFFFFFF), size=0xFFFFFFFF),
    "a length of twice as much": riff(FORMAT, chunk(b"data", PCM, 2 * len(PCM))),
    "a length of a quarter": riff(FORMAT, chunk(b"data", PCM, len(PCM) // 4)),
    "a RIFF length of 100": riff(FORMAT, chunk(b"data", PCM), size=100),
    "samples before the format": riff(chunk(b"data", PCM), FORMAT),
    "tags before the format": riff(TAGS, FORMAT, chunk(b"data", PCM)),
    "tags after the samples": riff(FORMAT, chunk(b"data", PCM), TAGS),
    "an odd chunk": riff(chunk(b"note", b"odd"), FORMAT, chunk(b"data", PCM)),
    "an odd chunk without its padding": riff(
        chunk(b"note", b"odd", padded=False), FORMAT, chunk(b"data", PCM)
    ),
    "many chunks": riff(
        chunk(b"JUNK", bytes(28)), chunk(b"bext", bytes(602)), FORMAT, chunk(b"FLLR", bytes(4044)),
        chunk(b"data", PCM), TAGS,
    ),
    "RF64": rf64(VOICE, 16000),
    "RF64 with lengths of 0": rf64(VOICE, 16000, claims=0),
    "RF64 with lengths of 2**64 - 1": rf64(VOICE, 16000, claims=2**64 - 1),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_WAVS)
def test_a_wav_with_an_odd_header_gives_all_its_samples(name: str) -> None:
    recording = decode_start(ODD_WAVS[name], seconds=None)
    assert recording.duration_s == 4.0
    assert np.abs(recording.samples - VOICE).max() < 1e-4


def test_a_wav_without_samples_is_empty_whatever_comes_after() -> None:
    with pytest.raises(Empty):
        decode_start(riff(FORMAT, chunk(b"data", b""), chunk(b"LIST", b"INFO" + bytes(9000))))


def test_a_file_named_raw_is_not_taken_for_headerless_samples(tmp_path: Path) -> None:
    path = tmp_path / "recording.raw"
    path.write_bytes(wav_bytes(stereo(16000), 16000))
    with path.open("rb") as file:
        assert (
            decode(file, "recording.raw", sampling_rate=16000, seconds=3.0, limits=LIMITS).duration_s == 4.0
        )


def test_the_peak_is_taken_before_the_channels_are_mixed() -> None:
    left = speech_like("angry", 16000, 1.0, seed=3)
    recording = decode_start(wav_bytes(np.stack([left, 0 * left], axis=1), 16000))
    assert recording.peak == pytest.approx(np.abs(left).max(), abs=1e-4)
    assert np.abs(recording.samples).max() == pytest.approx(np.abs(left).max() / 2, abs=1e-4)


def test_of_channels_that_cancel_each_other_out_the_loudest_is_heard() -> None:
    left = speech_like("angry", 16000, 1.0, seed=3)
    noise = np.random.default_rng(0).normal(size=(2, len(left))) * np.sqrt(np.mean(left**2)) * 10**-0.5
    for right in (-left, -0.9 * left, noise[0] * 0.3 - left):
        recording = decode_start(wav_bytes(np.stack([left, right], axis=1), 16000, "FLOAT"))
        assert abs(np.corrcoef(recording.samples, left)[0, 1]) > 0.9
    alike = decode_start(wav_bytes(np.stack([left + noise[0], left + noise[1]], axis=1), 16000, "FLOAT"))
    assert np.allclose(alike.samples, left + noise.mean(axis=0), atol=1e-4)


def test_without_a_limit_of_seconds_all_is_decoded() -> None:
    samples = speech_like("calm", 16000, 40.0, seed=4)  # three blocks
    recording = decode_start(wav_bytes(samples, 16000, "FLOAT"), seconds=None)
    assert np.array_equal(recording.samples, samples)


def broken(name: str) -> bytes:
    speech = speech_like("neutral", 16000, 1.0, seed=5)
    no_number, infinite, absurd = speech.copy(), speech.copy(), speech.copy()
    no_number[8000], infinite[4000], absurd[0] = np.nan, -np.inf, 1e30
    return {
        "nothing": b"",
        "text": b"These are the minutes of the meeting.\n" * 40,
        "noise": np.random.default_rng(0).bytes(20_000),
        "header": wav_bytes(speech, 16000)[:16] + bytes(4000),
        "no samples": wav_bytes(speech[:0], 16000),
        "short": wav_bytes(speech[:1599], 16000),
        "not a number": wav_bytes(no_number, 16000, "FLOAT"),
        "infinite": wav_bytes(infinite, 16000, "FLOAT"),
        "absurd": wav_bytes(absurd, 16000, "FLOAT"),
        "rate": wav_bytes(speech, LIMITS.max_sampling_rate + 1),
        "channels": wav_bytes(np.zeros((2000, LIMITS.max_channels + 1)), 16000),
        "m4a cut off": encoded(speech, 16000, "ipod", "aac")[:4000],
        "picture": b"\0\0\0\x18ftypheic" + bytes(4000),
    }[name]


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("nothing", NotARecording, "is empty."),
        ("text", NotARecording, "is a text file."),
        ("noise", NotAudio, "no known audio format"),
        ("header", NotAudio, "header is damaged"),
        ("no samples", Empty, "no samples"),
        ("short", TooShort, "lasts 0.100 s; at least 0.1 s"),
        ("not a number", NotFinite, "at 0.500 s"),
        ("infinite", NotFinite, "at 0.250 s"),
        ("absurd", UnlikelyHeader, "1e+30 times full scale"),
        ("rate", UnlikelyHeader, "768,001 Hz"),
        ("channels", UnlikelyHeader, "65 channels"),
        ("m4a cut off", NotAudio, "header is damaged"),
        ("picture", NotARecording, "is a picture."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_that_names_the_file(
    name: str, error: type[ClipError], words: str
) -> None:
    with pytest.raises(error, match="^odd/clip.wav ") as raised:
        decode_start(broken(name), "odd/clip.wav")
    assert words in str(raised.value)


def test_a_tenth_of_a_second_is_enough() -> None:
    assert len(decode_start(wav_bytes(speech_like("calm", 16000, 0.1, seed=6), 16000)).samples) == 1600


def test_a_wav_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    whole = wav_bytes(speech_like("calm", 16000, 4.0, seed=7), 16000)
    recording = decode_start(whole[: len(whole) // 2], seconds=None)
    assert recording.duration_s == pytest.approx(2.0, abs=0.01)
    assert recording.flaw == "its header promises 4.0 s, and 2.0 s are there"


@pytest.mark.parametrize("kind", ["FLAC", "AAC", "OGG", "MP3"])
def test_what_breaks_off_or_is_damaged_on_the_way_is_read_and_says_so(kind: str) -> None:
    speech = speech_like("neutral", 16000, 4.0, seed=5)
    whole = {
        "FLAC": flac_bytes(speech, 16000),
        "AAC": encoded(speech, 16000, "adts", "aac"),
        "OGG": written(speech, 16000, "OGG", "VORBIS"),
        "MP3": written(speech, 16000, "MP3", "MPEG_LAYER_III"),
    }[kind]
    assert decode_start(whole, seconds=None).flaw is None
    half = decode_start(whole[: len(whole) // 2], seconds=None)
    assert 0.5 < half.duration_s < 3.5
    assert half.flaw is not None
    middle = len(whole) // 2
    damaged = decode_start(whole[:middle] + bytes(800) + whole[middle + 800 :], seconds=None)
    assert damaged.duration_s > 2
    assert damaged.flaw is not None or kind in ("OGG", "MP3", "AAC")  # players pass over it
