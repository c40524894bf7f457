"""Recordings for tests in odd containers: WAV files made chunk by chunk, and what PyAV writes."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

PACKET_MS = 120


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


def video_of_hours(samples: Samples, hours: float) -> bytes:
    """Matroska: the samples, at 48 kHz, and then silence, 30,000 packets an hour; a picture every second."""
    source = av.open(io.BytesIO(_opus_and_picture(samples)))
    picture = next(packet for packet in source.demux(video=0) if packet.size)
    source.seek(0)
    sound = [packet for packet in source.demux(audio=0) if packet.size]
    voice, silence = sound[:-2], sound[-2]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska", options={"fflags": "+bitexact"}) as output:
        tracks = [output.add_stream_from_template(each.stream) for each in (picture, silence)]
        for number in range(round(hours * 30_000)):
            due = [(tracks[1], voice[number] if number < len(voice) else silence)]
            if number % 8 == 0:
                due.append((tracks[0], picture))
            for track, content in due:
                packet = av.Packet(bytes(content))
                packet.stream, packet.time_base = track, Fraction(1, 1000)
                packet.pts = packet.dts = number * PACKET_MS
                packet.duration = PACKET_MS
                packet.is_keyframe = True
                output.mux(packet)
    return file.getvalue()


def _opus_and_picture(samples: Samples) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska", options={"fflags": "+bitexact"}) as output:
        pictures = output.add_stream("mjpeg", rate=1)
        pictures.width = pictures.height = 16
        pictures.pix_fmt = "yuvj420p"
        sound = output.add_stream("libopus", rate=48_000, options={"frame_duration": str(PACKET_MS)})
        sound.layout = "mono"
        black = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        output.mux(pictures.encode(black.reformat(format="yuvj420p")))
        output.mux(pictures.encode(None))
        whole = np.concatenate([samples, np.zeros(24_000, samples.dtype)])
        frame = av.AudioFrame.from_ndarray(whole.reshape(1, -1).astype(np.float32), "flt", "mono")
        frame.sample_rate = 48_000
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return file.getvalue()


def with_false_index(avi: bytes) -> bytes:
    """An AVI whose index points behind its end."""
    broken = bytearray(avi)
    at = broken.rfind(b"idx1")
    entries = struct.unpack_from("<L", broken, at + 4)[0] // 16
    for number in range(entries):
        struct.pack_into("<2L", broken, at + 8 + 16 * number + 8, 0xFFFFFF00 - number, 0x7FFFFFFF)
    return bytes(broken)


def chain_of_empty_links(links: int) -> bytes:
    """Ogg: pages without packets, of which every second begins a stream."""
    return b"".join(b"OggS\0" + bytes([flag]) + bytes(21) for _ in range(links) for flag in (2, 0))
