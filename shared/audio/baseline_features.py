"""The baseline's features: a mel spectrogram beside MFCC, their deltas and half of the chroma, 32 × 94 × 2.

`baseline_features` is what training and serving use. `get_audio_features` is the baseline project's own
function, by librosa: the reference that tests compare the first one with (2 against 16-70 ms a clip, on one
thread).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from shared.audio import filters
from shared.audio.arrays import Floats
from shared.audio.spec import BASELINE_V6, BaselineSpec
from shared.audio.threads import one_blas_thread
from shared.audio.tuning import estimate_tuning

if TYPE_CHECKING:
    import scipy.sparse

Indices = NDArray[np.intp]

MFCC_MELS = 128  # librosa's default bands beneath MFCC
FLATTEST_STD = 1e-8  # keeps the z-score of a constant channel finite


def baseline_features(samples: Floats, spec: BaselineSpec = BASELINE_V6) -> Floats:
    """Features of clips.

    They are computed clip by clip in buffers that are used again: a spectrogram in fresh memory took 4 times
    as long (page faults). So the features of a clip cannot depend on its neighbours, not even in the last
    bit. One BLAS thread: products of this size gain nothing from two, and where two processes shared two
    cores, their waiting threads took 17 ms of CPU a clip instead of 4 (decoding and network included).

    Args:
        samples: float32, shape (n, spec.n_samples).
        spec: sizes of windows, filters and rows.

    Returns:
        Float32, shape (n, rows, frames, 2).
    """
    out = np.empty((len(samples), *spec.shape), np.float32)
    short, long = (PowerSpectrogram(spec, n_fft) for n_fft in (spec.n_fft, spec.chroma_n_fft))
    with one_blas_thread():
        for clip, rows in zip(samples, out, strict=True):
            bands = _mel_filters(spec) @ short(clip).T
            mel = _decibels(bands[: spec.n_mels], relative=True)
            mfcc = _dct(spec) @ _decibels(bands[spec.n_mels :])
            chroma = _chroma(long(clip), spec, long.make_exact)
            stacked = np.concatenate([mfcc, mfcc @ _delta(spec), chroma])[: spec.rows]
            for channel, values in enumerate((mel, stacked)):
                centred = values - values.mean()
                rows[..., channel] = centred / (np.sqrt(np.square(centred).mean()) + FLATTEST_STD)
    return out


class PowerSpectrogram:
    """Power spectrograms (frames, 1 + n_fft/2) in float32; each call overwrites the result of the last."""

    def __init__(self, spec: BaselineSpec, n_fft: int) -> None:
        self._exact_window = filters.hann(n_fft)
        # All of one type: a product that converts its factors took four times as long.
        self._window = self._exact_window.astype(np.float32)
        padded = np.zeros(spec.n_samples + n_fft, np.float32)
        self._clip = padded[n_fft // 2 : -n_fft // 2]
        self._overlapping = sliding_window_view(padded, n_fft)[:: spec.hop_length]
        self._frames = np.empty((spec.frames, n_fft), np.float32)
        self._power = np.empty((spec.frames, 1 + n_fft // 2), np.float32)

    def __call__(self, clip: Floats) -> Floats:
        """The power spectrogram of a clip of shape (n_samples,)."""
        self._clip[:] = clip
        np.multiply(self._overlapping, self._window, out=self._frames)
        # NumPy transforms float32 three times as slowly.
        np.abs(scipy.fft.rfft(self._frames), out=self._power)
        return np.square(self._power, out=self._power)

    def make_exact(self, frames: Indices) -> None:
        """Compute these frames of the last clip again, to the last bit as np.abs(librosa.stft(clip)) ** 2."""
        spectrum = np.fft.rfft(self._overlapping[frames] * self._exact_window)  # in float64
        self._power[frames] = np.abs(spectrum.astype(np.complex64)) ** 2


@lru_cache
def _mel_filters(spec: BaselineSpec) -> scipy.sparse.csr_array:
    """Bands of the mel spectrogram above those of MFCC: (n_mels + MFCC_MELS, 1 + n_fft/2).

    Sparse, because only 2 of 100 weights are not 0: a third of the time.
    """
    import scipy.sparse  # 20 ms, which v7 does without
    from librosa.filters import mel  # brings numba, which only what computes features should pay for

    banks = [mel(sr=spec.sampling_rate, n_fft=spec.n_fft, n_mels=n) for n in (spec.n_mels, MFCC_MELS)]
    return scipy.sparse.csr_array(np.concatenate(banks))


@lru_cache
def _dct(spec: BaselineSpec) -> Floats:
    """The first rows of the orthonormal DCT-II: (n_mfcc, MFCC_MELS)."""
    matrix = scipy.fft.dct(np.eye(MFCC_MELS), axis=0, norm="ortho")
    return np.asarray(matrix[: spec.n_mfcc], np.float32)


@lru_cache
def _delta(spec: BaselineSpec) -> Floats:
    """The linear map that librosa.feature.delta is, to be multiplied from the right: (frames, frames)."""
    import scipy.signal  # half of SciPy, which v7 does without

    identity = np.eye(spec.frames)
    slopes = scipy.signal.savgol_filter(identity, spec.delta_width, polyorder=1, deriv=1, axis=-1)
    return np.asarray(slopes, np.float32)


@lru_cache(maxsize=128)  # the estimate has 100 values
def _chroma_filters(spec: BaselineSpec, tuning: float) -> Floats:
    from librosa.filters import chroma

    sr, n_fft, n_chroma = spec.sampling_rate, spec.chroma_n_fft, spec.n_chroma
    return np.asarray(chroma(sr=sr, n_fft=n_fft, n_chroma=n_chroma, tuning=tuning))


def _decibels(power: Floats, relative: bool = False) -> Floats:
    """librosa.power_to_db relative to the clip's maximum or to 1; all within 80 dB of the maximum."""
    decibels: Floats = 10 * np.log10(np.maximum(power, np.float32(1e-10)))
    if relative:
        decibels -= decibels.max()
    return np.asarray(np.maximum(decibels, decibels.max() - np.float32(80)))


def _chroma(power: Floats, spec: BaselineSpec, make_exact: Callable[[Indices], None]) -> Floats:
    """librosa.feature.chroma_stft of a power spectrogram (frames, bins): (n_chroma, frames)."""
    chroma = _chroma_filters(spec, estimate_tuning(power, spec, make_exact)) @ power.T
    peak = chroma.max(axis=0)
    peak[peak < np.finfo(np.float32).tiny] = 1
    return np.asarray(chroma / peak)


# --- the baseline project's own functions: the reference -----------------------------------------
def get_audio_features(samples: Floats, spec: BaselineSpec = BASELINE_V6) -> Floats:
    """The baseline's features of one clip by librosa, as the baseline project computes them.

    Args:
        samples: shape (spec.n_samples,).
        spec: sizes of windows, filters and rows.

    Returns:
        Shape (rows, frames, 2).
    """
    import librosa

    y, sr, hop_length = samples, spec.sampling_rate, spec.hop_length
    shape = spec.rows, spec.frames
    mel = librosa.feature.melspectrogram(
        y=y, sr=sr, n_fft=spec.n_fft, hop_length=hop_length, n_mels=spec.n_mels
    )
    mfcc = librosa.feature.mfcc(y=y, sr=sr, n_mfcc=spec.n_mfcc, n_fft=spec.n_fft, hop_length=hop_length)
    chroma = librosa.feature.chroma_stft(y=y, sr=sr, hop_length=hop_length)
    contrast = librosa.feature.spectral_contrast(y=y, sr=sr, hop_length=hop_length)
    blocks = [
        rows for feature in (mfcc, chroma, contrast) for rows in (feature, librosa.feature.delta(feature))
    ]
    channels = librosa.power_to_db(mel, ref=np.max), np.vstack(blocks)
    return normalize_features(np.stack([resize_array(channel, shape) for channel in channels], axis=-1))


def resize_array(array: Floats, shape: tuple[int, int]) -> Floats:
    """Cut an array to `shape`, or pad it with zeros at the end of each axis."""
    cut = array[: shape[0], : shape[1]]
    return np.pad(cut, [(0, wanted - had) for wanted, had in zip(shape, cut.shape, strict=True)])


def normalize_features(channels: Floats) -> Floats:
    """Scale each channel of (rows, frames, channels) by its own mean and standard deviation."""
    mean, std = channels.mean(axis=(0, 1)), channels.std(axis=(0, 1))
    return np.asarray((channels - mean) / (std + FLATTEST_STD), np.float32)
