"""Descriptors of each frame: mel bands, spectral shape, harmonics, and candidates for the pitch.

Frames are those of librosa with center=True and pad_mode="constant". Only frames of the sounding part of a
window are kept.

Source: after eGeMAPS, Eyben et al. 2016, doi 10.1109/TAFFC.2015.2457417.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from shared.audio import filters, pitch
from shared.audio.arrays import Floats
from shared.audio.spec import VoiceSpec

LOUD_PERCENTILE = 95
SOUNDING_DB = 35.0  # below the loud level: where a recording begins and ends
FEWEST_FRAMES = 8  # enough for a parabola through them, and for fifths of them
TINY = np.float32(1e-12)
HARMONICS = 10
SLOPES = (50, 500), (500, 1500), (1500, 5000)  # Hz


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Descriptors of the sounding part of a window, frame by frame.

    Attributes:
        loud: the loud level of the window, in dB.
        energy: dB above it, shape (frames,).
        mel: levels of the mel bands in dB above it, shape (frames, n_mels).
        shape: of the spectrum, shape (frames, SHAPES).
        power: power spectra of frames padded to twice their length, shape (frames, 1 + n_fft).
        semitones: of the pitch candidates, shape (frames, pitch.CANDIDATES).
        strengths: of the pitch candidates, same shape.
        correlations: of the pitch candidates, same shape.
    """

    loud: float
    energy: Floats
    mel: Floats
    shape: Floats
    power: Floats
    semitones: Floats
    strengths: Floats
    correlations: Floats


SHAPES = 13


@dataclass(frozen=True, slots=True)
class Melody:
    """The pitch of a window, frame by frame.

    Attributes:
        semitones: above 1 Hz, shape (frames,).
        correlation: of each frame with itself one period later, near 1 where it is voiced, shape (frames,).
        harmonics: their levels in dB above the loud level, shape (frames, HARMONICS).
    """

    semitones: Floats
    correlation: Floats
    harmonics: Floats

    @classmethod
    def along(cls, way: NDArray[np.int64], one: Descriptors, spec: VoiceSpec) -> Self:
        """The melody of a path through the candidates.

        Args:
            way: the index of the candidate of each frame, shape (frames,).
            one: the window's descriptors.
            spec: of the features.
        """
        frames = np.arange(len(way))
        semitones = one.semitones[frames, way]
        levels = harmonics(one.power, semitones, spec) - np.float32(one.loud)
        return cls(semitones, one.correlations[frames, way], levels)


def describe(window: Floats, spec: VoiceSpec) -> Descriptors:
    """The descriptors of a window.

    Args:
        window: samples, shape (spec.n_samples,); zeros at its end do not belong to it.
        spec: of the features.
    """
    frames = _windowed(window, spec)
    energy, loud, part = _sounding(frames, spec)
    power, energy = _power(frames[part]), np.asarray(energy[part] - loud, np.float32)
    narrow = power[:, ::2]
    mel = _decibels(narrow @ _mel_filters(spec)) - np.float32(loud)
    return Descriptors(loud, energy, mel, _shape(narrow, spec), power, *pitch.candidates(power, spec))


def sounding(window: Floats, spec: VoiceSpec) -> Floats:
    """The samples of the frames that `describe` describes, as a view of the window."""
    _, _, part = _sounding(_windowed(window, spec), spec)
    half = spec.n_fft // 2
    return window[max(0, part.start * spec.hop_length - half) : (part.stop - 1) * spec.hop_length + half]


def harmonics(power: Floats, semitones: Floats, spec: VoiceSpec) -> Floats:
    """Levels of the first ten harmonics of each frame's pitch, each the largest of three bins.

    Args:
        power: power spectra, shape (frames, 1 + n_fft).
        semitones: the pitch above 1 Hz, shape (frames,).
        spec: of the features.

    Returns:
        In dB, shape (frames, HARMONICS).
    """
    hz_per_bin = spec.sampling_rate / (2 * spec.n_fft)
    hz = 2 ** (semitones[:, np.newaxis] / 12) * np.arange(1, HARMONICS + 1)
    places = np.clip(hz / hz_per_bin, 1, spec.n_fft - 2).round().astype(np.int64)
    around = [np.take_along_axis(power, places + step, axis=1) for step in (-1, 0, 1)]
    return _decibels(np.maximum.reduce(around))


def _windowed(window: Floats, spec: VoiceSpec) -> Floats:
    """The frames of a window, shape (frames, n_fft), each multiplied by a Hann window."""
    behind = int(np.argmax(window[::-1] != 0))  # zeros at the end; flatnonzero took 0.35 ms for it
    length = max(FEWEST_FRAMES * spec.hop_length, len(window) - behind if window[-1 - behind] else 0)
    padded = np.pad(window[:length], spec.n_fft // 2)
    return sliding_window_view(padded, spec.n_fft)[:: spec.hop_length] * _hann(spec)


def _sounding(frames: Floats, spec: VoiceSpec) -> tuple[Floats, float, slice]:
    """Where a window sounds.

    Returns:
        The energy of each frame and the loud level, both in dB; and the frames from the first that sounds to
        the last.
    """
    # As Parseval says, so that only frames of the sounding part, 150 of 250, need a spectrum.
    energy = _decibels(np.einsum("ft,ft->f", frames, frames) * np.float32(spec.n_fft / 2))
    loud = float(np.percentile(energy, LOUD_PERCENTILE))
    there = np.flatnonzero(energy > loud - SOUNDING_DB)
    start = int(min(there[0], len(energy) - FEWEST_FRAMES))
    return energy, loud, slice(start, max(int(there[-1]) + 1, start + FEWEST_FRAMES))


def _power(frames: Floats) -> Floats:
    """Power spectra (frames, 1 + n_fft), twice as fine as the frames are long, for the autocorrelation."""
    spectrum = scipy.fft.rfft(frames, 2 * frames.shape[1], axis=1)
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _shape(power: Floats, spec: VoiceSpec) -> Floats:
    """The shape of the spectrum, (frames, SHAPES).

    Centroid, spread and two roll-offs in octaves; flatness of all, of low and of high bins; alpha ratio;
    Hammarberg index; three slopes in dB/kHz; flux.
    """
    hz = _hz(spec)
    total = power.sum(axis=1) + TINY
    centroid = power @ hz / total
    spread = np.sqrt(np.maximum(power @ hz**2 / total - centroid**2, 1))
    running = np.cumsum(power, axis=1)
    low_rolloff, rolloff = (
        hz[np.argmax(running >= share * running[:, -1:], axis=1)] for share in (0.5, 0.85)
    )
    logs = np.log(power + TINY)
    quarter = power.shape[1] // 4
    flatness = (
        logs[:, bins].mean(axis=1) - np.log(power[:, bins].mean(axis=1) + TINY)
        for bins in (slice(None), slice(quarter), slice(quarter, None))
    )
    decibels = logs * np.float32(10 / np.log(10))
    low, high = _bins(spec, 50, 1000), _bins(spec, 1000, 5000)
    alpha = _decibels(power[:, low].sum(axis=1)) - _decibels(power[:, high].sum(axis=1))
    low_peak, high_peak = (decibels[:, _bins(spec, *hz)].max(axis=1) for hz in ((0, 2000), (2000, 5000)))
    slopes = (_slope(decibels, spec, *bounds) for bounds in SLOPES)
    amplitude = np.sqrt(power / total[:, np.newaxis])
    flux = np.linalg.norm(np.diff(amplitude, axis=0, prepend=amplitude[:1]), axis=1)
    octaves = (np.log2(value + 50) for value in (centroid, spread, low_rolloff, rolloff))
    columns = (*octaves, *flatness, alpha, low_peak - high_peak, *slopes, flux)
    return np.asarray(np.stack(columns, axis=1), np.float32)


def _slope(decibels: Floats, spec: VoiceSpec, low: int, high: int) -> Floats:
    bins = _bins(spec, low, high)
    khz = _hz(spec)[bins] / 1000
    khz = khz - khz.mean()
    return np.asarray(decibels[:, bins] @ khz / (khz @ khz))


def _decibels(power: Floats) -> Floats:
    return np.asarray(10 * np.log10(power + TINY), np.float32)


@lru_cache
def _hz(spec: VoiceSpec) -> Floats:
    return np.asarray(np.fft.rfftfreq(spec.n_fft, 1 / spec.sampling_rate), np.float32)


@lru_cache
def _bins(spec: VoiceSpec, low: int, high: int) -> slice:
    return slice(*np.searchsorted(_hz(spec), (low, high)).tolist())


@lru_cache
def _hann(spec: VoiceSpec) -> Floats:
    return np.asarray(filters.hann(spec.n_fft), np.float32)


@lru_cache
def _mel_filters(spec: VoiceSpec) -> Floats:
    """The mel filter bank of librosa, to be multiplied from the right: (1 + n_fft/2, n_mels)."""
    weights = filters.mel(spec.sampling_rate, spec.n_fft, spec.n_mels, spec.fmin, spec.fmax)
    return np.ascontiguousarray(weights.T)
