"""Audio with fewer frequencies: lower sampling rates, and the band and coding of the telephone.

soxr resamples, SciPy filters, and libsndfile codes G.711; only their combination is ours.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import signal

from shared.audio.arrays import Floats

TELEPHONE_BAND_HZ = 300.0, 3400.0
TELEPHONE_HZ = 8000  # its sampling rate
ORDER = 6  # of the Butterworth filter at each end of the band: 36 dB an octave


def fitted(samples: Floats, n: int) -> Floats:
    """The first n samples, or all of them with zeros behind.

    Args:
        samples: shape (m,).
        n: how many samples are wanted.

    Returns:
        Shape (n,).
    """
    return np.asarray(np.pad(samples[:n], (0, max(0, n - len(samples)))), np.float32)


def through_rate(samples: Floats, sampling_rate: int, hz: float) -> Floats:
    """Resample to a lower rate and back, so that nothing above half of it is left.

    Args:
        samples: shape (n,).
        sampling_rate: of the samples, in Hz.
        hz: the lower sampling rate, in Hz.

    Returns:
        Shape (n,), at the original rate.
    """
    low = soxr.resample(samples, sampling_rate, hz)
    return fitted(soxr.resample(low, hz, sampling_rate), len(samples))


def telephone_band(
    samples: Floats,
    sampling_rate: int,
    low_hz: float = TELEPHONE_BAND_HZ[0],
    high_hz: float = TELEPHONE_BAND_HZ[1],
) -> Floats:
    """Keep only the frequencies between two limits.

    Args:
        samples: shape (n,).
        sampling_rate: of the samples, in Hz.
        low_hz: the lower limit.
        high_hz: the upper limit, below half of the sampling rate.

    Returns:
        Shape (n,). The filter is a Butterworth band pass of order `ORDER`.
    """
    return np.asarray(signal.sosfilt(_band(sampling_rate, low_hz, high_hz), samples), np.float32)


@lru_cache(maxsize=64)
def _band(sampling_rate: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    band = low_hz, high_hz
    return np.asarray(signal.butter(ORDER, band, "bandpass", fs=sampling_rate, output="sos"))


def through_telephone(samples: Floats, sampling_rate: int) -> Floats:
    """Send samples through a telephone call: 300 to 3400 Hz, 8 kHz, µ-law of 8 bits.

    Args:
        samples: shape (n,).
        sampling_rate: of the samples, in Hz.

    Returns:
        Shape (n,), at the original rate.

    Source: ITU-T G.711.
    """
    low = telephone_band(soxr.resample(samples, sampling_rate, TELEPHONE_HZ), TELEPHONE_HZ)
    return fitted(soxr.resample(mu_law(low, TELEPHONE_HZ), TELEPHONE_HZ, sampling_rate), len(samples))


def mu_law(samples: Floats, sampling_rate: int) -> Floats:
    """Code samples with 8 bits each by libsndfile's µ-law, and decode them.

    Args:
        samples: in [-1, 1], shape (n,).
        sampling_rate: in Hz; does not change the result.

    Returns:
        Shape (n,).
    """
    file = BytesIO()
    how = {"samplerate": sampling_rate, "format": "RAW", "subtype": "ULAW"}
    soundfile.write(file, np.clip(samples, -1, 1), **how)
    file.seek(0)
    read, _ = soundfile.read(file, channels=1, dtype="float32", **how)
    return np.asarray(read, np.float32)
