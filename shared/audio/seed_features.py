"""The seed's features: mel spectrogram beside MFCC, their slope and half of chroma, 32 × 94 × 2.

`seed_features` is the one path of training and serving. `get_audio_features` is the seed's own, by
librosa: the reference that tests hold the first one to (2 against 16-70 ms a clip, one thread).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from shared.audio import filters
from shared.audio.spec import SEED_V6, SeedSpec
from shared.audio.threads import one_blas_thread

Floats = NDArray[np.float32]

MFCC_MELS = 128  # librosa's default bands beneath MFCC
FLATTEST_STD = 1e-8  # keeps the z-score of a constant channel finite


def seed_features(samples: Floats, spec: SeedSpec = SEED_V6) -> Floats:
    """Features of clips shaped (n, spec.n_samples), float32: (n, rows, frames, 2).

    Clip by clip in buffers that are used again: a spectrogram in fresh memory took 4 times as long (page
    faults), and so a clip's features cannot depend, not even in the last bit, on its neighbours.
    With one BLAS thread: products this small gain nothing from two, and where two processes shared two
    cores their waiting threads took 17 ms of CPU a clip instead of 4 (decoding and network included).
    """
    out = np.empty((len(samples), *spec.shape), np.float32)
    short = _PowerSpectrogram(spec, spec.n_fft, np.float32)
    # The tuning's histogram often ties: rounded otherwise than by librosa, 2 clips of 100 got another one.
    long = _PowerSpectrogram(spec, spec.chroma_n_fft, np.float64)
    with one_blas_thread():
        for clip, rows in zip(samples, out, strict=True):
            power = short(clip)
            mel = _decibels(_mel_filters(spec, spec.n_mels) @ power.T, relative=True)
            mfcc = _dct(spec) @ _decibels(_mel_filters(spec, MFCC_MELS) @ power.T)
            chroma = _chroma(long(clip), spec)
            stacked = np.concatenate([mfcc, mfcc @ _delta(spec), chroma])[: spec.rows]
            for channel, values in enumerate((mel, stacked)):
                rows[..., channel] = (values - values.mean()) / (values.std() + FLATTEST_STD)
    return out


class _PowerSpectrogram:
    """Power spectrograms (frames, 1 + n_fft/2) in float32, each call overwriting the last.

    dtype: of the transform. In float64 equal to np.abs(librosa.stft(clip)) ** 2 to the last bit (transformed,
    then rounded to complex64); in float32 half as dear.
    """

    def __init__(self, spec: SeedSpec, n_fft: int, dtype: type[np.float32 | np.float64]) -> None:
        shape = spec.frames, 1 + n_fft // 2
        self._hop_length = spec.hop_length
        # All of one type: a product that converts its factors took four times as long.
        self._window = filters.hann(n_fft).astype(dtype)
        self._padded = np.zeros(spec.n_samples + n_fft, dtype)
        self._frames = np.empty((spec.frames, n_fft), dtype)
        self._spectrum = np.empty(shape, np.complex128)
        self._rounded = np.empty(shape, np.complex64)
        self._power = np.empty(shape, np.float32)

    def __call__(self, clip: Floats) -> Floats:
        n_fft = len(self._window)
        self._padded[n_fft // 2 : -n_fft // 2] = clip
        frames = sliding_window_view(self._padded, n_fft)[:: self._hop_length]
        np.multiply(frames, self._window, out=self._frames)
        if self._frames.dtype == np.float32:  # which NumPy transforms three times as slowly as SciPy
            self._rounded[...] = scipy.fft.rfft(self._frames)
        else:
            self._rounded[...] = np.fft.rfft(self._frames, out=self._spectrum)
        np.abs(self._rounded, out=self._power)
        return np.square(self._power, out=self._power)


@lru_cache
def _mel_filters(spec: SeedSpec, n_mels: int) -> Floats:
    from librosa.filters import mel  # brings numba, which only what computes features should pay for

    return np.asarray(mel(sr=spec.sampling_rate, n_fft=spec.n_fft, n_mels=n_mels))


@lru_cache
def _dct(spec: SeedSpec) -> Floats:
    """(n_mfcc, MFCC_MELS): the first rows of the orthonormal DCT-II."""
    matrix = scipy.fft.dct(np.eye(MFCC_MELS), axis=0, norm="ortho")
    return np.asarray(matrix[: spec.n_mfcc], np.float32)


@lru_cache
def _delta(spec: SeedSpec) -> Floats:
    """(frames, frames): librosa.feature.delta as the linear map that it is, from the right."""
    import scipy.signal  # half of SciPy, which v7 does without

    identity = np.eye(spec.frames)
    slopes = scipy.signal.savgol_filter(identity, spec.delta_width, polyorder=1, deriv=1, axis=-1)
    return np.asarray(slopes, np.float32)


@lru_cache(maxsize=128)  # the estimate has 100 values
def _chroma_filters(spec: SeedSpec, tuning: float) -> Floats:
    from librosa.filters import chroma

    sr, n_fft, n_chroma = spec.sampling_rate, spec.chroma_n_fft, spec.n_chroma
    return np.asarray(chroma(sr=sr, n_fft=n_fft, n_chroma=n_chroma, tuning=tuning))


def _decibels(power: Floats, relative: bool = False) -> Floats:
    """librosa.power_to_db: against the clip's maximum or against 1; nothing over 80 dB below the top."""
    decibels: Floats = 10 * np.log10(np.maximum(power, np.float32(1e-10)))
    if relative:
        decibels -= decibels.max()
    return np.asarray(np.maximum(decibels, decibels.max() - np.float32(80)))


def _chroma(power: Floats, spec: SeedSpec) -> Floats:
    """librosa.feature.chroma_stft of a power spectrogram (frames, bins): (n_chroma, frames)."""
    chroma = _chroma_filters(spec, estimate_tuning(power, spec)) @ power.T
    peak = chroma.max(axis=0)
    peak[peak < np.finfo(np.float32).tiny] = 1
    return np.asarray(chroma / peak)


def estimate_tuning(power: Floats, spec: SeedSpec = SEED_V6) -> float:
    """librosa.estimate_tuning of a spectrogram (frames, bins), in fractions of a semitone, without numba.

    The mode of the deviations of the spectral peaks from A440's semitones: peaks between 150 and
    4000 Hz within a tenth of their frame's maximum, refined by a parabola (Smith, "Spectral Audio Signal
    Processing", 2011), of these the upper half by magnitude. Precisions follow librosa's, since the
    histogram's ties are decided by the last bit.
    """
    hz_per_bin = spec.sampling_rate / spec.chroma_n_fft
    low, high = int(np.ceil(150 / hz_per_bin)), int(np.ceil(4000 / hz_per_bin))
    here, below, above = (power[:, low + k : high + k] for k in (0, -1, 1))
    is_loud = here > np.float32(0.1) * power.max(axis=1, keepdims=True)
    # np.nonzero on two axes takes five times as long.
    places = np.flatnonzero(is_loud & (here > below) & (here >= above))
    if not len(places):
        return 0.0
    frame, bin_ = np.divmod(places, high - low)
    bin_ += low
    left, peak, right = power[frame, bin_ - 1], power[frame, bin_], power[frame, bin_ + 1]
    curvature = (left + right).astype(np.float64) - 2.0 * peak
    slope = (right - left).astype(np.float64) / 2
    inside = np.abs(slope) < np.abs(curvature)
    shift = np.divide(-slope, curvature, where=inside, out=np.zeros_like(slope)).astype(np.float32)
    magnitude = peak + np.float32(0.5) * ((right - left) / np.float32(2)) * shift
    pitch = ((bin_ + shift) * float(spec.sampling_rate) / spec.chroma_n_fft).astype(np.float32)
    pitch = pitch[magnitude >= np.median(magnitude)]
    deviation = np.mod(12 * np.log2(pitch / np.float32(440 / 16)), 1)
    deviation[deviation >= 0.5] -= 1
    counts, edges = np.histogram(deviation, np.linspace(-0.5, 0.5, 101))
    return float(edges[np.argmax(counts)])


# --- the seed's own functions: the reference ----------------------------------------------------
def get_audio_features(samples: Floats, spec: SeedSpec = SEED_V6) -> Floats:
    """The seed's features of one clip (spec.n_samples,) through librosa: (rows, frames, 2)."""
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
    """Cut, or pad with zeros at the end of each axis, to `shape`."""
    cut = array[: shape[0], : shape[1]]
    return np.pad(cut, [(0, wanted - had) for wanted, had in zip(shape, cut.shape, strict=True)])


def normalize_features(channels: Floats) -> Floats:
    """Each channel of (rows, frames, channels) by its own mean and standard deviation."""
    mean, std = channels.mean(axis=(0, 1)), channels.std(axis=(0, 1))
    return np.asarray((channels - mean) / (std + FLATTEST_STD), np.float32)
