"""The technical quality of a recording: its bandwidth, its noise, and how much voice it has.

It is measured window by window, as recordings are classified, and put together after the last one. A network
is right less often where these are low, so they say how far its confidence can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.filters import hann
from shared.audio.levels import FRAME_S, LEVELS, LOUD_SHARE, VOICE_DB, Counts, levels
from shared.audio.quality_flags import QualityFlag

BAND_HZ = 250.0
N_FFT = 512  # at 16 kHz: bins of 31 Hz, 8 a band
FRAMES_AT_ONCE = 512
# A band counts as audible where its loudest twentieth is within this of the loudest band's. The bandwidth of
# 41 recordings of RAVDESS is then 7,750 to 8,000 Hz, through a telephone 4,000, at 11 kHz 5,500.
AUDIBLE_DB = 70.0
FAINTEST_DB = -100.0  # below full scale: less is rounding
LOUDEST_SHARE = 0.05
# The noise floor between words: so many frames are quieter. Frames below the faintest level are digital
# silence, which was added later, and say nothing of the recording's noise.
FLOOR_SHARE = 0.03


# Of 41 recordings of RAVDESS none is below any of these. Through a telephone or at 11 kHz all are below the
# first, in white noise of 20 dB all below the second, which is of voice and noise together.
NARROW_HZ, NOISY_DB, LITTLE_S = 6000.0, 28.0, 0.5


@dataclass(frozen=True, slots=True)
class Quality:
    """The technical quality of a recording.

    Attributes:
        bandwidth_hz: up to where there is sound, in steps of 250 Hz.
        snr_db: how far the voice is above the noise floor between words.
        voiced_s: seconds of voice in all that was classified.
    """

    bandwidth_hz: float
    snr_db: float
    voiced_s: float

    @property
    def flags(self) -> tuple[QualityFlag, ...]:
        """What it lacks; `good` where it lacks nothing.

        >>> Quality(bandwidth_hz=4000.0, snr_db=12.0, voiced_s=3.0).flags
        (<QualityFlag.narrow_band: 'narrow_band'>, <QualityFlag.noisy: 'noisy'>)
        """
        lacks = (
            (QualityFlag.narrow_band, self.bandwidth_hz < NARROW_HZ),
            (QualityFlag.noisy, self.snr_db < NOISY_DB),
            (QualityFlag.little_voice, self.voiced_s < LITTLE_S),
        )
        return tuple(flag for flag, is_so in lacks if is_so) or (QualityFlag.good,)


@dataclass(slots=True)
class QualityMeter:
    """Collects the quality of a recording from its windows.

    Attributes:
        sampling_rate: of the windows, in Hz.
        counts: frames of 20 ms by level, shape (LEVELS,).
        bands: the loudest level of each band of 250 Hz in dB of full scale, shape (bands,); None before the
            first window.
    """

    sampling_rate: int
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LEVELS, np.int64))
    bands: NDArray[np.float64] | None = None

    def add(self, samples: Floats, new_from: int = 0) -> Self:
        """Add a window, and return the meter.

        Args:
            samples: shape (n,).
            new_from: the first sample that no earlier window had.
        """
        counts: Counts = levels(samples[new_from:], self.sampling_rate)
        self.counts += counts
        heard = loudest_bands(samples[new_from:], self.sampling_rate)
        self.bands = heard if self.bands is None else np.maximum(self.bands, heard)
        return self

    def quality(self) -> Quality:
        """The quality of all windows so far; all three values are 0 for none, and for digital silence."""
        audible = self.counts[: LEVELS - 1]  # by dB below full scale, the loudest first
        frames = int(audible.sum())
        if not frames or self.bands is None:
            return Quality(0.0, 0.0, 0.0)
        reached = np.cumsum(audible)
        loud = int(np.argmax(reached > LOUD_SHARE * frames))
        floor = int(np.argmax(reached >= (1 - FLOOR_SHARE) * frames))
        voiced = int(reached[min(LEVELS - 2, loud + int(min(VOICE_DB, max(floor - loud - 3, 0))))])
        return Quality(
            bandwidth_hz=bandwidth(self.bands),
            snr_db=float(floor - loud),
            voiced_s=voiced * FRAME_S,
        )


def loudest_bands(samples: Floats, sampling_rate: int) -> NDArray[np.float64]:
    """How loud each band of 250 Hz is in its loudest twentieth of frames.

    Args:
        samples: shape (n,).
        sampling_rate: in Hz.

    Returns:
        In dB of full scale, shape (bands,).
    """
    bins = round(BAND_HZ * N_FFT / sampling_rate)
    starts = np.arange(0, N_FFT // 2 + 1 - bins, bins)
    if len(samples) < N_FFT:
        samples = np.pad(samples, (0, N_FFT - len(samples)))
    frames = samples[: len(samples) // N_FFT * N_FFT].reshape(-1, N_FFT)
    window = hann(N_FFT).astype(np.float32)
    power = np.empty((len(frames), len(starts)), np.float32)
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        some = slice(start, start + FRAMES_AT_ONCE)
        spectrum = scipy.fft.rfft(frames[some] * window, axis=1)[:, : len(starts) * bins]
        np.add.reduceat(spectrum.real**2 + spectrum.imag**2, starts, axis=1, out=power[some])
    # A partition and no quantile, which takes six times as long; the loudest twentieth is at least one frame.
    place = min(len(power) - 1, int((1 - LOUDEST_SHARE) * len(power)))
    loudest = np.partition(power, place, axis=0)[place]
    # Of a sine of full scale the bins' sum is (N sum(window²)) / 4.
    scale = N_FFT * float((window**2).sum()) / 4
    return np.asarray(10 * np.log10(np.maximum(loudest / scale, 1e-15)), np.float64)


def bandwidth(bands: NDArray[np.floating]) -> float:
    """The frequency up to which there is sound, in Hz.

    Args:
        bands: from `loudest_bands`.
    """
    heard = bands > max(float(bands.max()) - AUDIBLE_DB, FAINTEST_DB)
    return float((np.flatnonzero(heard).max(initial=-1) + 1) * BAND_HZ)
