"""Recordings, as uploads or as members of archives, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from shared.audio.synthesis import flac_bytes, speech_like, wav_bytes
from tests.archive_builders import (
    PACKERS,
    packed_tar,
    tar_header,
    tar_of,
    zip_of,
)
from tests.audio_builders import (
    chain_of_empty_links,
    chunk,
    encoded,
    format_chunk,
    pcm16,
    piped_mp3,
    rf64,
    riff,
    video_of_hours,
    with_false_index,
    written,
)

FORMATS = (
    "WAV, FLAC, AIFF, OGG, Opus and MP3 are read, and with the extra av M4A, AAC, AMR, WMA, WebM and what "
    "else FFmpeg reads."
)
RATE = 16_000


class Outcome(NamedTuple):
    """outcome: None where it is the model's affair (`classified` or `rejected`)."""

    content: Callable[[], bytes]
    outcome: str | None = None
    code: str | None = None
    sentence: str | None = None


def voice(sampling_rate: int = RATE, duration_s: float = 1.5) -> np.ndarray:
    return speech_like("happy", sampling_rate, duration_s, seed=1)


def wav(
    subtype: str = "PCM_16", sampling_rate: int = RATE, channels: int = 1, container: str = "WAV"
) -> Callable[[], bytes]:
    samples = voice(sampling_rate)
    return lambda: written(np.stack([samples] * channels, axis=1), sampling_rate, container, subtype)


def odd_wav(length: float | None = None, *, samples_first: bool = False) -> Callable[[], bytes]:
    """A WAV file whose data chunk claims this part of its bytes."""
    pcm = pcm16(voice())
    data = chunk(b"data", pcm, None if length is None else min(0xFFFFFFFF, int(length * len(pcm))))
    return lambda: riff(*([data, format_chunk(RATE)] if samples_first else [format_chunk(RATE), data]))


def with_nan() -> bytes:
    return wav_bytes(np.where(np.arange(RATE) == 8_000, np.nan, 0.1).astype(np.float32), RATE, "FLOAT")


def not_audio(path: str, reason: str, content: Callable[[], bytes]) -> tuple[str, Outcome]:
    return path, Outcome(content, "failed", "not_audio", f"{path} is not readable audio: {reason}. {FORMATS}")


def is_something(path: str, what: str, content: Callable[[], bytes]) -> tuple[str, Outcome]:
    return path, Outcome(content, "failed", "not_a_recording", f"{path} is {what}.")


def in_part(path: str, promised_s: float, heard_s: float, content: Callable[[], bytes]) -> Outcome:
    """Of a recording that has less than its header says."""
    sentence = (
        f"{path} was heard in part: its header promises {promised_s:.1f} s, and {heard_s:.1f} s are there."
    )
    return Outcome(content, None, "heard_in_part", sentence)


def damaged(path: str, content: Callable[[], bytes]) -> tuple[str, Outcome]:
    sentence = f"{path} was heard in part: its data is damaged at about 0.8 s."
    return path, Outcome(content, None, "heard_in_part", sentence)


UNKNOWN, HEADER = "its content is of no known audio format", "its header is damaged"
SILENT = "No voice to classify."

RECORDINGS: dict[str, Outcome] = {
    "WAV 8 bit.wav": Outcome(wav("PCM_U8")),
    "WAV 16 bit.wav": Outcome(wav()),
    "WAV 24 bit.wav": Outcome(wav("PCM_24")),
    "WAV 32 bit.wav": Outcome(wav("PCM_32")),
    "WAV float.wav": Outcome(wav("FLOAT")),
    "WAV double.wav": Outcome(wav("DOUBLE")),
    "A-law call.wav": Outcome(wav("ALAW", 8_000)),
    "µ-law call.wav": Outcome(wav("ULAW", 8_000)),
    "stereo.wav": Outcome(wav(channels=2)),
    "8 channels.wav": Outcome(wav(channels=8)),
    "192 kHz.wav": Outcome(wav(sampling_rate=192_000)),
    "length 0.wav": Outcome(odd_wav(0)),
    "length of a stream.wav": Outcome(odd_wav(2**32)),
    "length too large.wav": in_part("length too large.wav", 4.5, 1.5, odd_wav(3)),
    "length too small.wav": Outcome(odd_wav(0.25)),
    "samples first.wav": Outcome(odd_wav(samples_first=True)),
    "RF64.wav": Outcome(lambda: rf64(voice(), RATE)),
    "FLAC.flac": Outcome(wav("PCM_16", container="FLAC")),
    "FLAC named WAV.wav": Outcome(lambda: flac_bytes(voice(), RATE)),
    "OGG Vorbis.ogg": Outcome(wav("VORBIS", container="OGG")),
    "Opus.opus": Outcome(wav("OPUS", 48_000, container="OGG")),
    "MP3.mp3": Outcome(wav("MPEG_LAYER_III", container="MP3")),
    "AIFF.aiff": Outcome(wav("PCM_16", container="AIFF")),
    "AIFC.aifc": Outcome(wav("ULAW", container="AIFF")),
    "AAC in M4A.m4a": Outcome(lambda: encoded(voice(44_100), 44_100, "ipod", "aac")),
    "ALAC in M4A.m4a": Outcome(lambda: encoded(voice(), RATE, "ipod", "alac")),
    "AAC.aac": Outcome(lambda: encoded(voice(), RATE, "adts", "aac")),
    "AMR.amr": Outcome(lambda: encoded(voice(8_000), 8_000, "amr", "libopencore_amrnb")),
    "joined.wav": Outcome(lambda: wav()() * 2),
    "joined.flac": Outcome(lambda: flac_bytes(voice(), RATE) * 2),
    "joined.mp3": Outcome(lambda: wav("MPEG_LAYER_III", container="MP3")() * 2),
    "MP3 of a pipe.mp3": Outcome(lambda: piped_mp3(voice(), RATE)),
    "chained.ogg": Outcome(lambda: wav("VORBIS", container="OGG")() * 2),
    "chained.opus": Outcome(lambda: wav("OPUS", 48_000, container="OGG")() * 2),
    "several chunks.wav": Outcome(
        lambda: riff(format_chunk(RATE), chunk(b"data", pcm16(voice())), chunk(b"data", pcm16(voice())))
    ),
    "ALAC in CAF.caf": Outcome(lambda: encoded(voice(), RATE, "caf", "alac")),
    "G.722 in WAV.wav": Outcome(lambda: encoded(voice(), RATE, "wav", "g722")),
    "G.726 in WAV.wav": Outcome(lambda: encoded(voice(8_000), 8_000, "wav", "g726")),
    "Opus in WebM.webm": Outcome(lambda: encoded(voice(48_000), 48_000, "webm", "libopus")),
    "AAC in Matroska.mkv": Outcome(lambda: encoded(voice(), RATE, "matroska", "aac")),
    "AAC in MPEG-TS.ts": Outcome(lambda: encoded(voice(), RATE, "mpegts", "aac")),
    "MP3 in AVI.avi": Outcome(lambda: encoded(voice(), RATE, "avi", "mp3")),
    "MP3 in FLV.flv": Outcome(lambda: encoded(voice(22_050), 22_050, "flv", "mp3")),
    "WavPack.wv": Outcome(lambda: encoded(voice(), RATE, "wv", "wavpack")),
    "TTA.tta": Outcome(lambda: encoded(voice(), RATE, "tta", "tta")),
    "AC-3.ac3": Outcome(lambda: encoded(voice(48_000), 48_000, "ac3", "ac3")),
    "AAC in LOAS.aac": Outcome(lambda: encoded(voice(), RATE, "latm", "aac")),
    "AMR in 3GP.3gp": Outcome(lambda: encoded(voice(8_000), 8_000, "3gp", "libopencore_amrnb")),
    "a video of three hours.mkv": Outcome(lambda: video_of_hours(voice(48_000), 3)),
    "a false index.avi": Outcome(lambda: with_false_index(encoded(voice(), RATE, "avi", "mp3"))),
    "quiet.wav": Outcome(lambda: wav_bytes(voice() / np.abs(voice()).max() * 0.006, RATE)),
    "half of a WAV.wav": in_part("half of a WAV.wav", 1.5, 0.8, lambda: wav_bytes(voice(), RATE)[:25_000]),
    "silent.wav": Outcome(lambda: wav_bytes(np.zeros(RATE), RATE), "no_voice", None, SILENT),
    "all but silent.wav": Outcome(
        lambda: wav_bytes(voice() * 1e-5, RATE, "FLOAT"), "no_voice", None, SILENT
    ),
    "no samples.wav": Outcome(
        lambda: wav_bytes(np.zeros(0), RATE), "failed", "empty", "no samples.wav holds no samples."
    ),
    "short.wav": Outcome(
        lambda: wav_bytes(voice()[:1_000], RATE), "failed", "too_short",
        "short.wav lasts 0.062 s; at least 0.1 s are needed.",
    ),
    "not a number.wav": Outcome(
        with_nan, "failed", "not_finite",
        "not a number.wav has samples that are not numbers (NaN or infinite), the first at 0.500 s.",
    ),
    "a rate of 1 MHz.wav": Outcome(
        lambda: wav_bytes(voice(), 1_000_000), "failed", "unlikely_header",
        "a rate of 1 MHz.wav claims 1,000,000 Hz, which no recording has; its header is damaged.",
    ),
    "65 channels.wav": Outcome(
        lambda: wav_bytes(np.zeros((2_000, 65)), RATE), "failed", "unlikely_header",
        "65 channels.wav claims 65 channels, which no recording has; its header is damaged.",
    ),
    **dict([
        is_something("no bytes.wav", "empty", lambda: b""),
        is_something("notes.txt", "a text file", lambda: b"Recorded on a Tuesday."),
        is_something("error.wav", "a web page, not a recording", lambda: b"<!DOCTYPE html><p>404"),
        is_something(
            "pointer.wav", "a Git LFS pointer, not the recording; `git lfs pull` fetches it",
            lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
        ),
        is_something("zeros.wav", "nothing but zeros, as a download that did not end leaves them",
                     lambda: bytes(40_000)),
        not_audio("noise.bin", UNKNOWN, lambda: np.random.default_rng(0).bytes(20_000)),
        not_audio("half of a header.wav", f"{HEADER} (Error in WAV/W64/RF64 file. Malformed 'fmt ' chunk)",
                  lambda: wav_bytes(voice(), RATE)[:20]),
        not_audio("a chain of 100,000.ogg", "over 10,000 recordings are joined in it",
                  lambda: chain_of_empty_links(100_000)),
        damaged("half of a FLAC.flac", lambda: flac_bytes(voice(), RATE)[:12_000]),
        not_audio("half of an M4A.m4a", f"{HEADER} (Invalid data found when processing input)",
                  lambda: encoded(voice(), RATE, "ipod", "aac")[:6_000]),
        is_something("picture.heic", "a picture", lambda: b"\0\0\0\x18ftypheic" + bytes(4_000)),
        ("codec.m4a", Outcome(
            lambda: encoded(voice(), RATE, "ipod", "alac").replace(b"alac", b"xxxx"),
            "failed", "unread_codec",
            "codec.m4a is coded as xxxx, which is not read. Convert it, for example to FLAC, and send that.",
        )),
    ]),
}  # fmt: skip


def nested(
    path: str, content: Callable[[], bytes], words: str = "itself an archive; send it as an upload of its own"
) -> tuple[str, Outcome]:
    sentence = f"{path} is {words}."
    return path, Outcome(content, "failed", "nested_archive", sentence)


def link(path: str, kind: str, type_: bytes) -> tuple[str, Outcome]:
    sentence = f"{path} lies in its archive as a {kind}, not as a plain file."
    return path, Outcome(lambda: tar_header(path, 0, type_), "failed", "not_a_file", sentence)


UNPACK = "which is not accepted; unpack it, and send the recordings or a zip of them"
# Members that archives of any kind may hold; those of tar alone are header blocks, not contents.
MEMBERS: dict[str, Outcome] = dict([
    nested("in.zip", lambda: zip_of({"a.wav": b"a"})),
    nested("in.tar", lambda: tar_of({"a.wav": b"a"})),
    *(nested(f"in.tar.{ending}", lambda ending=ending: packed_tar({"a.wav": b"a"}, ending))  # type: ignore[misc]
      for ending in PACKERS),
    nested("one.wav.gz", lambda: PACKERS["gz"](wav()()),
           "a gzip file without a tar archive in it, which is not accepted; unpack it, and send what it "
           "holds"),
    nested("in.7z", lambda: b"7z\xbc\xaf\x27\x1c", f"a 7z archive, {UNPACK}"),
    nested("in.rar", lambda: b"Rar!\x1a\x07\x00", f"a rar archive, {UNPACK}"),
])  # fmt: skip
LINKS: dict[str, Outcome] = dict([
    link("link.wav", "symbolic link", b"2"),
    link("hard.wav", "hard link", b"1"),
    link("disk", "device", b"4"),
    link("pipe", "pipe", b"6"),
    link("holes.wav", "sparse file", b"S"),
])  # fmt: skip
