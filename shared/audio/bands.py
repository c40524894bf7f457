"""Less than all frequencies: low sampling rates, and the telephone's band and law.

soxr resamples, SciPy filters, libsndfile has G.711: only their order is ours.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import signal

Floats = NDArray[np.float32]

TELEPHONE_BAND_HZ = 300.0, 3400.0
TELEPHONE_HZ = 8000  # its sampling rate
ORDER = 6  # of the Butterworth filter at each end of the band: 36 dB an octave


def fitted(samples: Floats, n: int) -> Floats:
    """The first n samples, or all and zeros behind them, (n,)."""
    return np.asarray(np.pad(samples[:n], (0, max(0, n - len(samples)))), np.float32)


def through_rate(samples: Floats, sampling_rate: int, hz: float) -> Floats:
    """Samples (n,) once down to a lower sampling rate and back up: (n,) without what is above hz / 2."""
    low = soxr.resample(samples, sampling_rate, hz)
    return fitted(soxr.resample(low, hz, sampling_rate), len(samples))


def telephone_band(
    samples: Floats,
    sampling_rate: int,
    low_hz: float = TELEPHONE_BAND_HZ[0],
    high_hz: float = TELEPHONE_BAND_HZ[1],
) -> Floats:
    """Samples (n,) of which only what lies between two frequencies is left: (n,); high_hz: below half of
    sampling_rate.
    """
    return np.asarray(signal.sosfilt(_band(sampling_rate, low_hz, high_hz), samples), np.float32)


@lru_cache(maxsize=64)
def _band(sampling_rate: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    band = low_hz, high_hz
    return np.asarray(signal.butter(ORDER, band, "bandpass", fs=sampling_rate, output="sos"))


def through_telephone(samples: Floats, sampling_rate: int) -> Floats:
    """Samples (n,) through a call: the band of 300 to 3400 Hz, 8 kHz, µ-law of 8 bits (ITU-T G.711): (n,)."""
    low = telephone_band(soxr.resample(samples, sampling_rate, TELEPHONE_HZ), TELEPHONE_HZ)
    return fitted(soxr.resample(mu_law(low, TELEPHONE_HZ), TELEPHONE_HZ, sampling_rate), len(samples))


def mu_law(samples: Floats, sampling_rate: int) -> Floats:
    """Samples (n,), in [-1, 1], as eight bits each by libsndfile's µ-law hold them: (n,)."""
    file = BytesIO()
    how = {"samplerate": sampling_rate, "format": "RAW", "subtype": "ULAW"}
    soundfile.write(file, np.clip(samples, -1, 1), **how)
    file.seek(0)
    read, _ = soundfile.read(file, channels=1, dtype="float32", **how)
    return np.asarray(read, np.float32)
