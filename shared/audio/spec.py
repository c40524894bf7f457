"""What a network is fed, as a value; apart from the code that computes it, which the API need not load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SeedSpec:
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
    def shape(self) -> tuple[int, int, int]:
        return self.rows, self.frames, 2


@dataclass(frozen=True, slots=True)
class LogMelSpec:
    """A log mel spectrogram against the window's own loud level.

    sampling_rate, fmin and fmax in Hz; seconds: of a window; n_fft and hop_length in samples; floor_db:
    below the loud level nothing is told apart; covers: which windows of a recording make its outcome.
    """

    kind: Literal["log-mel"] = "log-mel"
    name: str = "log-mel-v7"
    sampling_rate: int = 16000
    seconds: float = 3.072
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 64
    fmin: float = 50.0
    fmax: float = 8000.0
    floor_db: float = -80.0
    covers: Literal["start", "all"] = "all"

    @property
    def n_samples(self) -> int:
        return int(self.seconds * self.sampling_rate)

    @property
    def frames(self) -> int:
        return self.n_samples // self.hop_length

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.frames, self.n_mels, 1


FeatureSpec = SeedSpec | LogMelSpec

SEED_V6 = SeedSpec()
LOG_MEL_V7 = LogMelSpec()
