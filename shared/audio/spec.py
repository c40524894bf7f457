"""What a network is fed, as a value; apart from the code that computes it, which the API need not load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class BaselineSpec:
    """The seed's features; part of every model version that is fed them.

    sampling_rate in Hz; seconds: of a window; n_fft (mel, MFCC), chroma_n_fft and hop_length in samples;
    rows: how many of each channel's rows are kept; covers: which windows of a recording make its outcome.
    """

    kind: Literal["seed"] = "seed"
    name: str = "seed-v6"
    sampling_rate: int = 16000
    seconds: float = 3.0
    n_fft: int = 1024
    chroma_n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 32
    n_mfcc: int = 13
    n_chroma: int = 12
    delta_width: int = 9
    rows: int = 32
    covers: Literal["start", "all"] = "start"

    @property
    def n_samples(self) -> int:
        return int(self.seconds * self.sampling_rate)

    @property
    def frames(self) -> int:
        return 1 + self.n_samples // self.hop_length

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows, self.frames, 2


@dataclass(frozen=True, slots=True)
class VoiceSpec:
    """How a window sounds, in one row: statistics of it as a whole, then its descriptors frame by frame.

    sampling_rate, fmin, fmax, f0_min and f0_max in Hz; seconds: of a window, at most; n_fft and hop_length in
    samples; statistics: how many; frames: of the sounding part, at most, those in its middle; descriptors: of
    a frame, the last of them 1 where there is a frame; covers: which windows of a recording make its outcome.
    """

    kind: Literal["voice", "encoded"] = "voice"
    name: str = "voice-v7"
    sampling_rate: int = 16000
    seconds: float = 6.4  # the longest of 2,036 recordings of one sentence each has 6.35
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 48
    fmin: float = 50.0
    fmax: float = 8000.0
    f0_min: float = 65.0
    f0_max: float = 800.0
    statistics: int = 851
    frames: int = 288  # 4.6 s of sound: 5 of the 2,036 have more
    descriptors: int = 75
    covers: Literal["start", "all"] = "all"

    @property
    def n_samples(self) -> int:
        return int(self.seconds * self.sampling_rate)

    @property
    def n_voice(self) -> int:
        """How many numbers statistics and frames are together."""
        return self.statistics + self.frames * self.descriptors

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n_voice,)

    @property
    def bands(self) -> slice:
        """Where the mel bands are among a frame's descriptors."""
        return slice(1, 1 + self.n_mels)


@dataclass(frozen=True, slots=True)
class EncodedSpec(VoiceSpec):
    """Behind what a VoiceSpec has: what an encoder that was trained on other recordings makes of the window.

    encoder: its name; encoder_sha256: of its ONNX form, which is what computes them, in training and serving;
    layers: those that are kept, from 1; pooled: numbers of each, means and then standard deviations.
    """

    kind: Literal["encoded"] = "encoded"
    name: str = "encoded-v8"
    encoder: str = "whisper-base-4"
    encoder_sha256: str = "68a7fd3e6dab738ed83b26a31bf5f1e456e902e27816c35e66eba42dbe5f3838"
    layers: tuple[int, ...] = (2, 3, 4)
    pooled: int = 1024

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n_voice + len(self.layers) * self.pooled,)

    @property
    def embeddings(self) -> slice:
        """Where they are in a row: layer by layer."""
        return slice(self.n_voice, None)


FeatureSpec = BaselineSpec | VoiceSpec | EncodedSpec

BASELINE_V6 = BaselineSpec()
VOICE_V7 = VoiceSpec()
ENCODED_V8 = EncodedSpec()
