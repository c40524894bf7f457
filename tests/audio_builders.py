"""Recordings for tests in odd containers: WAV files made chunk by chunk, and what PyAV writes."""

from __future__ import annotations

import io
import struct

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def pcm16(samples: Samples) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def chunk(name: bytes, body: bytes, size: int | None = None, padded: bool = True) -> bytes:
    """A chunk of a RIFF file; `size` may lie."""
    padding = b"\0" if padded and len(body) % 2 else b""
    return name + struct.pack("<L", len(body) if size is None else size) + body + padding


def format_chunk(sampling_rate: int) -> bytes:
    """Of 16-bit mono."""
    return chunk(b"fmt ", struct.pack("<HHLLHH", 1, 1, sampling_rate, 2 * sampling_rate, 2, 16))


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    """A WAV file of these chunks; `size` may lie."""
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<L", len(body) if size is None else size) + body


def rf64(samples: Samples, sampling_rate: int, claims: int | None = None) -> bytes:
    """An RF64 file; `claims`: what each length in it says."""
    file = io.BytesIO()
    soundfile.write(file, samples, sampling_rate, "PCM_16", format="RF64")
    body = bytearray(file.getvalue())
    if claims is not None:
        struct.pack_into("<3Q", body, body.find(b"ds64") + 8, claims, claims, claims)
    return bytes(body)


def written(samples: Samples, sampling_rate: int, container: str, subtype: str) -> bytes:
    """By libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, sampling_rate, subtype, format=container)
    return file.getvalue()


def encoded(samples: Samples, sampling_rate: int, container: str, codec: str, layout: str = "mono") -> bytes:
    """By PyAV, the same samples on each channel of `layout`: containers ipod (M4A), adts (AAC), amr, 3gp."""
    file = io.BytesIO()
    # Else Matroska has random numbers, and no two runs the same bytes.
    with av.open(file, "w", format=container, options={"fflags": "+bitexact"}) as output:
        stream = output.add_stream(codec, rate=sampling_rate)
        stream.layout = layout
        channels = np.repeat(samples[:, None], stream.layout.nb_channels, axis=1)
        frame = av.AudioFrame.from_ndarray(channels.reshape(1, -1), "flt", layout)
        frame.sample_rate = sampling_rate
        wanted = stream.codec_context.format
        for converted in av.AudioResampler(wanted, layout, sampling_rate).resample(frame):
            output.mux(stream.encode(converted))
        output.mux(stream.encode(None))
    return file.getvalue()


def piped_mp3(samples: Samples, sampling_rate: int) -> bytes:
    """As an encoder writes it into a pipe: a varying bit rate, and no frame that says how many there are."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as output:
        stream = output.add_stream("libmp3lame", rate=sampling_rate, options={"compression_level": "2"})
        stream.layout = "mono"
        stream.codec_context.global_quality = 5 * 118  # FF_QP2LAMBDA
        stream.codec_context.flags |= 2  # AV_CODEC_FLAG_QSCALE
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1).astype(np.float32), "fltp", "mono")
        frame.sample_rate = sampling_rate
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
