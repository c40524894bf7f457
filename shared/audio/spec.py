"""The input of a network as a value, apart from the code that computes it, which the API need not load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class BaselineSpec:
    """The baseline's features; part of every model version whose input they are.

    Attributes:
        kind: tells the specs apart in manifests.
        name: of these features.
        sampling_rate: in Hz.
        seconds: the length of a window.
        n_fft: of mel spectrogram and MFCC, in samples.
        chroma_n_fft: of the chroma, in samples.
        hop_length: between frames, in samples.
        n_mels: bands of the mel spectrogram.
        n_mfcc: coefficients that are kept.
        n_chroma: pitch classes.
        delta_width: frames of a delta.
        rows: of each channel that are kept.
        covers: which windows of a recording decide its outcome: the first, or all of it.
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
        """Samples of a window."""
        return int(self.seconds * self.sampling_rate)

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return 1 + self.n_samples // self.hop_length

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one window."""
        return self.rows, self.frames, 2


@dataclass(frozen=True, slots=True)
class VoiceSpec:
    """How a window sounds, in one row: statistics of the whole window, then its descriptors frame by frame.

    Attributes:
        kind: tells the specs apart in manifests.
        name: of these features.
        sampling_rate: in Hz.
        seconds: the greatest length of a window.
        n_fft: in samples.
        hop_length: between frames, in samples.
        n_mels: number of mel bands.
        fmin: the lowest frequency of the mel bands, in Hz.
        fmax: the highest frequency of the mel bands, in Hz.
        f0_min: the lowest pitch, in Hz.
        f0_max: the highest pitch, in Hz.
        statistics: how many statistics there are.
        frames: of the sounding part at most; those in its middle are taken.
        descriptors: of a frame; the last of them is 1 where there is a frame.
        covers: which windows of a recording decide its outcome: the first, or all of it.
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
        """Samples of a window."""
        return int(self.seconds * self.sampling_rate)

    @property
    def n_voice(self) -> int:
        """How many numbers statistics and descriptors are together."""
        return self.statistics + self.frames * self.descriptors

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one window."""
        return (self.n_voice,)

    @property
    def bands(self) -> slice:
        """Where the mel bands are among a frame's descriptors."""
        return slice(1, 1 + self.n_mels)


@dataclass(frozen=True, slots=True)
class EncodedSpec(VoiceSpec):
    """A VoiceSpec's features, followed by the embeddings of an encoder that was trained on other recordings.

    Attributes:
        encoder: its name.
        encoder_sha256: of its ONNX form, which computes the embeddings in training and serving.
        layers: those that are kept, counted from 1.
        pooled: numbers of each layer: means, then standard deviations.
    """

    kind: Literal["encoded"] = "encoded"
    name: str = "encoded-v8"
    encoder: str = "whisper-base-4"
    encoder_sha256: str = "68a7fd3e6dab738ed83b26a31bf5f1e456e902e27816c35e66eba42dbe5f3838"
    layers: tuple[int, ...] = (2, 3, 4)
    pooled: int = 1024

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one window."""
        return (self.n_voice + len(self.layers) * self.pooled,)

    @property
    def embeddings(self) -> slice:
        """Where the embeddings are in a row, layer by layer."""
        return slice(self.n_voice, None)


FeatureSpec = BaselineSpec | VoiceSpec | EncodedSpec

BASELINE_V6 = BaselineSpec()
VOICE_V7 = VoiceSpec()
ENCODED_V8 = EncodedSpec()
