"""Files that hold several recordings, or whose header says a wrong length, are heard to their end."""

from __future__ import annotations

import io

import numpy as np
import pytest

from shared.audio.decode import Recording, decode
from shared.audio.links import MOST_LINKS
from shared.audio.seekable_files import SplicedFile
from shared.audio.synthesis import flac_bytes, speech_like, wav_bytes
from shared.core.errors.recordings import Empty, NotAudio
from shared.core.settings import Settings
from shared.limits import decode_limits
from tests.audio_builders import (
    chain_of_empty_links,
    chunk,
    encoded,
    format_chunk,
    pcm16,
    piped_mp3,
    riff,
    written,
)

RATE = 16_000
LIMITS = decode_limits(Settings())
A, B = (speech_like(emotion, RATE, 2.0, seed=seed) for seed, emotion in enumerate(("happy", "angry")))


def heard(content: bytes) -> Recording:
    return decode(content, "a.x", sampling_rate=RATE, seconds=None, limits=LIMITS)


LOSSLESS = {
    "WAV": lambda samples: wav_bytes(samples, RATE),
    "FLAC": lambda samples: flac_bytes(samples, RATE),
}
LOSSY = {
    "Vorbis": lambda samples: written(samples, RATE, "OGG", "VORBIS"),
    "Opus": lambda samples: written(samples, RATE, "OGG", "OPUS"),
    "MP3": lambda samples: written(samples, RATE, "MP3", "MPEG_LAYER_III"),
    "MP3 of a pipe": lambda samples: piped_mp3(samples, RATE),
    "AAC": lambda samples: encoded(samples, RATE, "adts", "aac"),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_joined_files_without_loss_are_heard_one_behind_the_other_to_the_sample(kind: str) -> None:
    joined = heard(LOSSLESS[kind](A) + LOSSLESS[kind](B))
    assert (joined.duration_s, joined.flaw) == (4.0, None)
    assert np.abs(joined.samples - np.concatenate([A, B])).max() < 1e-4


@pytest.mark.parametrize("kind", LOSSY)
def test_joined_files_of_a_codec_are_heard_one_behind_the_other(kind: str) -> None:
    alone, joined = heard(LOSSY[kind](A)), heard(LOSSY[kind](A) + LOSSY[kind](B))
    assert joined.duration_s == pytest.approx(2 * alone.duration_s, abs=0.1)
    assert joined.flaw is None
    for samples, there in ((A, joined.samples[: len(A)]), (B, joined.samples[-len(B) :])):
        assert np.sqrt(np.mean(there**2)) == pytest.approx(np.sqrt(np.mean(samples**2)), rel=0.15)


def test_files_of_other_rates_and_channels_are_joined_at_those_of_the_first() -> None:
    wide = speech_like("sad", 44_100, 1.0, seed=3)
    joined = heard(wav_bytes(A, RATE) + wav_bytes(np.stack([wide] * 2, axis=1), 44_100))
    assert joined.duration_s == pytest.approx(3.0, abs=0.01)
    alone = heard(wav_bytes(wide, 44_100)).samples
    assert np.corrcoef(joined.samples[2 * RATE : 2 * RATE + len(alone)], alone)[0, 1] > 0.99


@pytest.mark.parametrize("rates", [(8_000, 44_100), (44_100, 8_000)])
def test_of_links_of_several_rates_no_more_is_heard_than_was_asked_for(rates: tuple[int, int]) -> None:
    first, second = (wav_bytes(speech_like("sad", rate, 1.0, seed=3), rate) for rate in rates)
    for seconds in (0.5, 1.5, 3.0):
        part = decode(first + second, "a.x", sampling_rate=RATE, seconds=seconds, limits=LIMITS)
        assert len(part.samples) == pytest.approx(min(seconds, 2.0) * RATE, abs=3)


def test_a_link_of_an_impossible_rate_is_left_out_and_the_row_says_so() -> None:
    pcm = chunk(b"data", pcm16(A))
    for rate in (0, 10, 2_000_000_000):
        recording = heard(wav_bytes(A, RATE) + riff(format_chunk(rate), pcm) + wav_bytes(B, RATE))
        assert recording.duration_s == 4.0
        assert recording.flaw is not None
        assert "one is faulty" in recording.flaw


def test_97_s_of_an_mp3_from_a_pipe_are_97_s() -> None:
    samples = np.tile(A, 49)[: 97 * RATE]
    recording = heard(piped_mp3(samples, RATE))
    assert recording.duration_s == pytest.approx(97.0, abs=0.2)
    assert len(recording.samples) == pytest.approx(97 * RATE, abs=0.2 * RATE)


@pytest.mark.parametrize("container", ["caf", "ipod", "mov"])
@pytest.mark.parametrize("duration_s", [4.0, 2.2])
def test_alac_is_heard_to_its_last_sample(container: str, duration_s: float) -> None:
    samples = speech_like("happy", RATE, duration_s, seed=1)
    recording = heard(encoded(samples, RATE, container, "alac"))
    assert recording.duration_s == duration_s
    assert np.abs(recording.samples - samples).max() < 1e-4


@pytest.mark.parametrize(("container", "codec"), [("mpeg", "mp2"), ("mpegts", "mp2"), ("vob", "ac3")])
def test_the_sound_of_mpeg_video_is_heard(container: str, codec: str) -> None:
    samples = speech_like("happy", 48_000, 2.0, seed=1)
    assert heard(encoded(samples, 48_000, container, codec)).duration_s == pytest.approx(2.0, abs=0.05)


def test_an_mp3_behind_tags_and_zeros_is_found() -> None:
    mp3 = written(A, RATE, "MP3", "MPEG_LAYER_III")
    id3 = b"ID3\x03\x00\x00" + bytes([0, 0, 4, 0]) + bytes(512)
    for before in (id3, id3 + bytes(3000), bytes(4096)):
        assert heard(before + mp3).duration_s == pytest.approx(2.0, abs=0.15)
    assert heard(mp3 + b"TAG" + bytes(125)).duration_s == heard(mp3).duration_s


def test_an_mp3_with_fewer_frames_than_it_says_was_heard_in_part() -> None:
    mp3 = written(A, RATE, "MP3", "MPEG_LAYER_III")
    assert heard(mp3).flaw is None
    half = heard(mp3[: len(mp3) // 2])
    assert half.duration_s == pytest.approx(1.0, abs=0.2)
    assert half.flaw is not None
    assert half.flaw.startswith("its header promises 2.")


@pytest.mark.parametrize("mono", [True, False])
def test_an_mp3_that_ends_within_its_number_of_frames_is_damaged(mono: bool) -> None:
    samples = A if mono else np.stack([A, A], axis=1)
    mp3 = written(samples, 44100, "MP3", "MPEG_LAYER_III")
    name_at = mp3.find(b"Xing") if b"Xing" in mp3[:200] else mp3.find(b"Info")
    assert 0 < name_at < 100
    for size in range(name_at, name_at + 16):
        with pytest.raises((NotAudio, Empty)):
            heard(mp3[:size])


def test_several_chunks_of_samples_are_one_recording() -> None:
    half = len(A) // 2
    pieces = [chunk(b"data", pcm16(A[:half])), chunk(b"junk", b"odd"), chunk(b"data", pcm16(A[half:]))]
    assert np.abs(heard(riff(format_chunk(RATE), *pieces)).samples - A).max() < 1e-4


def test_a_link_that_cannot_be_read_is_left_out_and_the_row_says_so() -> None:
    ogg = written(A, RATE, "OGG", "VORBIS")
    broken = ogg[:200] + bytes(len(ogg) - 200)
    recording = heard(ogg + broken + written(B, RATE, "OGG", "VORBIS"))
    assert recording.duration_s == pytest.approx(4.0, abs=0.1)
    assert recording.flaw is not None
    assert "recordings joined in it one is faulty" in recording.flaw


def test_a_chain_of_very_many_links_is_refused_soon() -> None:
    with pytest.raises(NotAudio, match=f"over {MOST_LINKS:,} recordings are joined in it"):
        heard(chain_of_empty_links(100_000))


def test_ranges_and_bytes_are_read_as_one_file() -> None:
    spliced = SplicedFile(io.BytesIO(bytes(range(100))), [b"ab", range(10, 13), b"", range(50, 52)])  # type: ignore[arg-type]
    assert spliced.read(100) == b"ab" + bytes([10, 11, 12, 50, 51])
    assert (spliced.seek(-3, io.SEEK_END), spliced.tell(), spliced.read(2)) == (4, 4, bytes([12, 50]))
    assert spliced.seek(-1) == -1
