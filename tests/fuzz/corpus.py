"""What the fuzz starts from: sound recordings and archives of every kind that is read, made when it runs."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
from unittest import mock

import numpy as np
import soundfile

from shared.audio.synthesis import speech_like
from tests.archive_builders import (
    LINK,
    PACKERS,
    ZIP_PACKERS,
    Raw,
    encrypted_zip,
    packed_tar,
    raw_zip,
    tar_of,
    unicode_path,
    zip64_of,
    zip_of,
)
from tests.audio_builders import (
    Samples,
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
from tests.fuzz.checksums import with_serial
from tests.recordings import CASES, ORIGINAL, RAVDESS

RATE = 16_000
SHORT_S = 0.3
LARGEST_REAL_BYTES = 120_000
# A time before 1980 cannot be written into a zip; with a fixed one a corpus is the same each time.
MADE_AT = 1e9
# Container and sample format for libsndfile: what the README names, then all else that it tells by content.
CONTAINERS = (
    ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"),
    ("WAV", "ALAW"), ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610"), ("WAV", "G721_32"),
    ("WAV", "NMS_ADPCM_24"), ("WAVEX", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AIFF", "ULAW"),
    ("AIFF", "IMA_ADPCM"), ("AIFF", "DWVW_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"), ("AU", "PCM_16"), ("AU", "G723_24"), ("CAF", "PCM_16"), ("CAF", "ALAC_16"),
    ("AVR", "PCM_16"), ("HTK", "PCM_16"), ("SVX", "PCM_16"), ("MAT4", "PCM_16"), ("MAT5", "PCM_16"),
    ("MPC2K", "PCM_16"), ("PAF", "PCM_24"), ("PVF", "PCM_16"), ("SDS", "PCM_16"), ("IRCAM", "PCM_16"),
    ("VOC", "PCM_16"), ("NIST", "PCM_16"), ("XI", "DPCM_16"),
)  # fmt: skip
# Container and codec for PyAV.
CODECS = (("ipod", "aac", 44_100), ("ipod", "alac", RATE), ("adts", "aac", RATE),
          ("amr", "libopencore_amrnb", 8_000), ("3gp", "libopencore_amrnb", 8_000),
          ("caf", "alac", RATE), ("mov", "aac", RATE), ("webm", "libopus", 48_000), ("matroska", "aac", RATE),
          ("mpegts", "aac", RATE), ("mpeg", "mp2", 48_000), ("avi", "mp3", RATE),
          ("avi", "adpcm_ms", RATE), ("flv", "mp3", 22_050),
          ("wv", "wavpack", RATE), ("tta", "tta", RATE), ("ac3", "ac3", 48_000), ("latm", "aac", RATE),
          ("wav", "g722", RATE), ("wav", "g726", 8_000))  # fmt: skip


def corpus() -> dict[str, bytes]:
    """Seeds by name; the same each time, but for real recordings that lie beside the clone or do not."""
    with mock.patch("time.time", return_value=MADE_AT):
        recordings = _recordings()
        return recordings | _archives(recordings) | _real()


def _recordings() -> dict[str, bytes]:
    voice = speech_like("happy", RATE, SHORT_S, seed=1)
    pcm = pcm16(voice)
    made = {f"{container} {subtype}": written(voice, RATE, container, subtype)
            for container, subtype in CONTAINERS}  # fmt: skip
    wide = speech_like("sad", 48_000, SHORT_S, seed=2)
    made["OGG OPUS"] = written(wide, 48_000, "OGG", "OPUS")
    made["FLAC of 8 channels"] = written(np.stack([wide] * 8, 1), 48_000, "FLAC", "PCM_16")
    made["MP3 in stereo"] = written(np.stack([wide] * 2, 1), 48_000, "MP3", "MPEG_LAYER_III")
    made["RF64"] = rf64(voice, RATE)
    made["WAV of a stream"] = riff(format_chunk(RATE), chunk(b"data", pcm, 0xFFFFFFFF))
    notes = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"a name\0"))
    broadcast = chunk(b"bext", bytes(602)) + chunk(b"cue ", struct.pack("<L", 1) + bytes(24))
    made["WAV with notes"] = riff(
        broadcast,
        format_chunk(RATE),
        chunk(b"fact", struct.pack("<L", len(voice))),
        chunk(b"data", pcm),
        notes,
    )
    for container, codec, sampling_rate in CODECS:
        samples = speech_like("angry", sampling_rate, SHORT_S, seed=3)
        made[f"{container} {codec}"] = encoded(samples, sampling_rate, container, codec)
    made |= _links(made, voice)
    return {name: _timeless(body) for name, body in made.items()}


def _links(made: dict[str, bytes], voice: Samples) -> dict[str, bytes]:
    """Recordings that go on where their header says that they end."""
    wav, pcm = made["WAV PCM_16"], chunk(b"data", pcm16(voice))
    return {
        "WAV joined": wav * 2,
        "WAV of two chunks": riff(format_chunk(RATE), pcm, pcm),
        "FLAC joined": made["FLAC PCM_16"] * 2,
        "MP3 joined": made["MP3 MPEG_LAYER_III"] * 2,
        "MP3 of a pipe": piped_mp3(voice, RATE),
        "Ogg chained": with_serial(made["OGG VORBIS"]) * 2,
        "Ogg chained of nothing": chain_of_empty_links(100),
        "AVI with a false index": with_false_index(made["avi mp3"]),
        "Matroska with pictures": video_of_hours(speech_like("sad", 48_000, SHORT_S, seed=2), 0.003),
        "Ogg chained with Opus": with_serial(made["OGG VORBIS"]) + with_serial(made["OGG OPUS"]),
    }


def _timeless(recording: bytes) -> bytes:
    """Without what libsndfile takes from the clock: Ogg's serial number, PEAK's and MATLAB's date."""
    if recording.startswith(b"OggS"):
        return with_serial(recording)
    body = bytearray(recording)
    if (peak := recording.find(b"PEAK")) >= 0:
        body[peak + 12 : peak + 16] = bytes(4)
    if recording.startswith(b"MATLAB 5.0"):
        body[20:116] = b" " * 96
    return bytes(body)


def _archives(recordings: dict[str, bytes]) -> dict[str, bytes]:
    names = ("WAV PCM_U8", "OGG VORBIS", "FLAC PCM_16")
    members = {f"folder/{number} {name}.x": recordings[name] for number, name in enumerate(names)}
    long = {"n" * 150 + "/é.wav": recordings["WAV PCM_U8"], **members}
    made = {
        "zip stored": zip_of(long, zipfile.ZIP_STORED),
        "zip deflated": zip_of(members),
        "zip bzip2": zip_of(members, zipfile.ZIP_BZIP2),
        "zip LZMA": zip_of(members, zipfile.ZIP_LZMA),
        "zip64": zip64_of(members),
        "zip encrypted": encrypted_zip({"a.wav": recordings["WAV PCM_U8"], "b.wav": b"2"}, "b.wav"),
        "zip without directory": zip_of(members)[:-40],
        "tar GNU": tar_of(long),
        "tar pax": tar_of(long, format=tarfile.PAX_FORMAT),
        "tar ustar": tar_of(members, format=tarfile.USTAR_FORMAT),
    }
    made |= {
        f"zip method {method}": raw_zip(
            Raw(name.encode(), body, method, pack(body)) for name, body in members.items()
        )
        for method, pack in ZIP_PACKERS.items()
    }
    made["zip behind a program"] = raw_zip(
        [Raw(b"a.wav", recordings["WAV PCM_U8"])], before=b"MZ" + bytes(90)
    )
    raw = "ü.wav".encode("cp437")
    made["zip of odd names"] = raw_zip(
        [Raw(raw, recordings["WAV PCM_U8"], extra=unicode_path(raw, "ü.wav")), Raw(b"\\", b""),
         Raw(b"link.wav", raw, attributes=LINK)]
    )  # fmt: skip
    made["tar.lzma"] = lzma.compress(tar_of(members), lzma.FORMAT_ALONE)
    return made | {f"tar.{ending}": packed_tar(members, ending) for ending in PACKERS}


def _real() -> dict[str, bytes]:
    """What lies beside the clone, if it does: two of RAVDESS, a second of a WAV, the kinds people have."""
    bodies = {file.name: file.read_bytes() for file in sorted(RAVDESS.glob("*/*.flac"))[:80:40]}
    bodies |= {file.name: file.read_bytes() for file in sorted((CASES / "recordings").glob("*.*"))}
    found = {f"real {name}": body for name, body in bodies.items() if len(body) <= LARGEST_REAL_BYTES}
    for file in sorted(ORIGINAL.rglob("*.wav"))[:1]:
        samples, rate = soundfile.read(file, frames=48_000, dtype="float32")
        found[f"a second of {file.name}"] = written(samples, rate, "WAV", "PCM_16")
    return found
