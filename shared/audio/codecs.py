"""What codecs for speech and music leave of a recording at low bit rates.

FFmpeg encodes (through PyAV, the extra `av`); decoding is that of any recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import soxr

from shared.audio.arrays import Floats
from shared.audio.bands import fitted
from shared.audio.decode import decode
from shared.audio.limits import DecodeLimits
from shared.core.errors.recordings import NeedsAv

if TYPE_CHECKING:
    from av import AudioStream


LIMITS = DecodeLimits(max_sampling_rate=48000, max_channels=1, max_windows=10**9)


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec at one bit rate.

    Attributes:
        name: for people.
        encoder: FFmpeg's name of the encoder.
        container: FFmpeg's name of the file format.
        sampling_rate: in Hz.
        bit_rate: in bits a second.
    """

    name: str
    encoder: str
    container: str
    sampling_rate: int
    bit_rate: int

    def at(self, bit_rate: int) -> Self:
        """The same codec at another bit rate, in bits a second."""
        return replace(self, bit_rate=bit_rate)


AMR_NB = Codec("AMR-NB", "libopencore_amrnb", "amr", 8000, 12200)  # a mobile call at its best
OPUS = Codec("Opus", "libopus", "ogg", 16000, 12000)
MP3 = Codec("MP3", "libmp3lame", "mp3", 16000, 24000)
AMR_NB_BIT_RATES = 4750, 5150, 5900, 6700, 7400, 7950, 10200, 12200  # 3GPP TS 26.071: there are no others


def is_there(codec: Codec) -> bool:
    """Whether PyAV is installed and its FFmpeg has the encoder."""
    if find_spec("av") is None:
        return False
    import av

    return codec.encoder in av.codecs_available


def through_codec(samples: Floats, sampling_rate: int, codec: Codec) -> Floats:
    """Encode samples and decode them again.

    A codec's delay stays in the result where its file does not state it: 5 ms for AMR.

    Args:
        samples: shape (n,).
        sampling_rate: of the samples, in Hz.
        codec: what encodes them.

    Returns:
        Shape (n,), at the original rate.

    Raises:
        NeedsAv: PyAV is not installed.
    """
    content = encoded(soxr.resample(samples, sampling_rate, codec.sampling_rate), codec)
    read = decode(content, codec.name, sampling_rate=sampling_rate, seconds=None, limits=LIMITS)
    return fitted(read.samples, len(samples))


def encoded(samples: Floats, codec: Codec) -> bytes:
    """A file of samples.

    Args:
        samples: at the codec's own sampling rate, shape (n,).
        codec: what encodes them.

    Raises:
        NeedsAv: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise NeedsAv(path=codec.name, kind=f"{codec.name} to be written") from error
    file = BytesIO()
    whole = np.asarray(np.clip(samples, -1, 1) * 32767, np.int16)
    with av.open(file, "w", format=codec.container) as container:
        stream = cast("AudioStream", container.add_stream(codec.encoder, rate=codec.sampling_rate))
        stream.bit_rate = codec.bit_rate
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate = codec.sampling_rate
        for part in (frame, None):
            container.mux(stream.encode(part))
    return file.getvalue()
