"""What a network is fed, as a value; apart from the code that computes it, which the API need not load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """What a network is fed; part of every model version.

    sampling_rate in Hz; seconds: how much of a recording, from its start; n_fft (mel, MFCC),
    chroma_n_fft and hop_length in samples; rows: how many of each channel's rows are kept.
    """

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

    @property
    def n_samples(self) -> int:
        return int(self.seconds * self.sampling_rate)

    @property
    def frames(self) -> int:
        return 1 + self.n_samples // self.hop_length

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.rows, self.frames, 2


SEED_V6 = FeatureSpec()
