"""The fundamental frequency over time: candidates for each frame, and the smoothest path through them.

Source: Boersma 1993, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise
ratio of a sampled sound": peaks of the autocorrelation, divided by that of the window; the path is found by
Viterbi's algorithm.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from shared.audio import filters
from shared.audio.arrays import Floats
from shared.audio.spec import VoiceSpec

Integers = NDArray[np.int64]

CANDIDATES = 5
OCTAVE_COST = 0.03  # a longer lag has to be that much stronger an octave, or half of the voices fall by one
SEMITONE_COST, MOST_SEMITONES = 0.03, 24.0  # of a step between frames; beyond two octaves all are alike


def candidates(power: Floats, spec: VoiceSpec) -> tuple[Floats, Floats, Floats]:
    """Candidates for the pitch of each frame.

    Args:
        power: the power spectra of windows that are padded to 2 n samples, shape (frames, 1 + n).
        spec: of the features; gives the sampling rate and the range of the pitch.

    Returns:
        Three arrays of shape (frames, CANDIDATES): semitones above 1 Hz; strength less the cost of the
        octave, -1 for what is no peak; and correlation, in [0, 1].
    """
    lags, penalty = _lags(spec)
    shortest, longest = lags
    raw = scipy.fft.irfft(power, axis=1)[:, : longest + 2]
    correlation = raw / (raw[:, :1] + np.float32(1e-12)) / _window_correlation(spec)[: longest + 2]
    inner = correlation[:, 1:-1]
    is_peak = (inner > correlation[:, :-2]) & (inner >= correlation[:, 2:])
    is_peak[:, : shortest - 1] = False
    strength = np.where(is_peak, inner - penalty, np.float32(-1))
    best = np.argpartition(-strength, CANDIDATES, axis=1)[:, :CANDIDATES]
    before, at, after = (np.take_along_axis(correlation, best + step, axis=1) for step in (0, 1, 2))
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0)
    semitones = 12 * np.log2(spec.sampling_rate / (best + 1 + np.clip(shift, -0.5, 0.5)))
    return (
        np.asarray(semitones, np.float32),
        np.take_along_axis(strength, best, axis=1),
        np.clip(at, 0, 1),
    )


@lru_cache
def _lags(spec: VoiceSpec) -> tuple[tuple[int, int], Floats]:
    """The shortest and the longest lag in samples, and the cost of each lag from 1 to the longest."""
    shortest, longest = (int(spec.sampling_rate / hz) for hz in (spec.f0_max, spec.f0_min))
    octaves = np.log2(np.arange(1, longest + 1) / shortest)
    return (shortest, longest), np.asarray(OCTAVE_COST * octaves, np.float32)


@lru_cache
def _window_correlation(spec: VoiceSpec) -> Floats:
    window = filters.hann(spec.n_fft)
    raw = scipy.fft.irfft(np.abs(scipy.fft.rfft(window, 2 * spec.n_fft)) ** 2)
    return np.asarray(raw[: spec.n_fft] / raw[0], np.float32)


def smoothest(semitones: Floats, strengths: Floats, lengths: Integers) -> Integers:
    """The best candidate of each frame by Viterbi's algorithm: strong ones with small steps between them.

    Args:
        semitones: of the candidates, shape (n, frames, CANDIDATES), n recordings side by side.
        strengths: of the candidates, same shape.
        lengths: how many frames each recording has before padding, shape (n,).

    Returns:
        The index of the candidate of each frame, shape (n, frames). No recording has an influence on
        another's.
    """
    n, frames, _ = semitones.shape
    every = np.arange(n)
    total = strengths[:, 0]
    came_from = np.zeros((n, frames, CANDIDATES), np.int64)
    ends = total.argmax(axis=1)
    for frame in range(1, frames):
        steps = np.abs(semitones[:, frame - 1, :, None] - semitones[:, frame, None, :])
        ways = total[:, :, None] - np.float32(SEMITONE_COST) * np.minimum(steps, np.float32(MOST_SEMITONES))
        came_from[:, frame] = ways.argmax(axis=1)
        total = ways.max(axis=1) + strengths[:, frame]
        ends = np.where(frame < lengths, total.argmax(axis=1), ends)
    chosen = np.zeros((n, frames), np.int64)
    for frame in range(frames - 1, -1, -1):
        chosen[:, frame] = ends
        ends = np.where(frame < lengths, came_from[every, frame, ends], ends)
    return chosen
