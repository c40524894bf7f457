"""Statistics of a recording's descriptors over time: the same number of them whatever its length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.descriptors import FEWEST_FRAMES, Descriptors, Melody
from shared.audio.spec import VoiceSpec

Booleans = NDArray[np.bool_]

ACTIVE_DB = 30.0  # below the loud level: a frame in which somebody speaks
VOICED = 0.5  # correlation of a voiced frame with itself, one period later
CEPSTRA = 16
QUANTILES = 0.05, 0.25, 0.5, 0.75, 0.95
FIFTHS = 5
LARGEST_STEP = 4.0  # semitones between frames 16 ms apart: beyond it the pitch has jumped, not moved
MODULATION_HZ = 0.3, 1, 2, 3.5, 5.5, 8, 12, 20, 31
MODULATION_FFT = 512
BAND_MELS = 6
RIDGE = 1e-2  # on the diagonal of a covariance, so that its logarithm exists


def statistics(one: Descriptors, melody: Melody, spec: VoiceSpec) -> Floats:
    """The statistics of a window.

    Args:
        one: its descriptors.
        melody: its pitch.
        spec: of the features.

    Returns:
        Shape (spec.statistics,).
    """
    semitones, correlation = melody.semitones, melody.correlation
    active = one.energy > -ACTIVE_DB
    if active.sum() < FEWEST_FRAMES:
        active = np.ones_like(active)
    voiced = active & (correlation > VOICED)
    if voiced.sum() < FEWEST_FRAMES:
        voiced = active
    cepstra = one.mel @ _dct(spec)
    course = np.where(voiced, semitones - semitones[voiced].mean(), 0)
    levels = np.column_stack([one.mel, one.shape, one.energy])
    moves = np.abs(np.column_stack([levels, cepstra])[2:] - np.column_stack([levels, cepstra])[:-2]) / 2
    moves = moves[active[1:-1]]
    harmonics = melody.harmonics[voiced]
    return np.concatenate(
        [
            _statistics(levels[active]),
            moves.mean(axis=0),
            np.sqrt(np.square(moves).mean(axis=0)),
            _statistics(harmonics[:, 1:] - harmonics[:, :1], (0.2, 0.5, 0.8)),  # above the first
            _statistics(semitones[voiced, np.newaxis]),
            _statistics(correlation[active, np.newaxis]),
            _steps(semitones, voiced),
            _contour(semitones, voiced, one.energy),
            _rhythm(one.energy, active, voiced),
            _modulation(np.column_stack([_bands(one.mel), 10 * one.shape[:, 0], course]), spec),
            _log_covariance(one, cepstra, course, active),
        ]
    )


def _statistics(values: Floats, quantiles: Sequence[float] = QUANTILES) -> Floats:
    """Mean, standard deviation and quantiles of each column of (frames, columns), one after another."""
    ordered = np.sort(values, axis=0)
    places = np.array(quantiles) * (len(ordered) - 1)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    share = (places - below)[:, np.newaxis]
    points = ordered[below] * (1 - share) + ordered[above] * share
    return np.concatenate([values.mean(axis=0), values.std(axis=0), points.ravel()])


def _steps(semitones: Floats, voiced: Booleans) -> Floats:
    """How the pitch moves from one voiced frame to the next."""
    steps = np.diff(semitones)[voiced[1:] & voiced[:-1]]
    steps = steps[np.abs(steps) < LARGEST_STEP]
    if len(steps) < 2:
        steps = np.zeros(2, np.float32)
    shares = [np.mean(is_so) for is_so in (steps > 0.1, steps < -0.1, np.abs(steps) < 0.15)]
    quantiles = np.quantile(steps, (0.05, 0.25, 0.75, 0.95))
    return np.array([np.abs(steps).mean(), steps.std(), steps.mean(), *shares, *quantiles])


def _contour(semitones: Floats, voiced: Booleans, energy: Floats) -> Floats:
    """The course of pitch and energy: parabolas over the whole, and the values of each fifth of it."""
    time = np.linspace(-1, 1, len(energy))
    found = [np.polyfit(time[voiced], semitones[voiced], 2), np.polyfit(time, energy, 2)]
    middle = semitones[voiced].mean()
    for part in np.array_split(np.arange(len(energy)), FIFTHS):
        own = semitones[part][voiced[part]]
        pitches = (own.mean() - middle, own.std()) if len(own) else (0.0, 0.0)
        found.append(np.array([*pitches, energy[part].mean(), energy[part].max()]))
    return np.concatenate(found)


def _rhythm(energy: Floats, active: Booleans, voiced: Booleans) -> Floats:
    """Length, shares of active and voiced frames, voiced stretches, and peaks of the energy."""
    edges = np.diff(np.concatenate([[0], voiced, [0]]).astype(np.int64))
    stretches = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    inner = energy[1:-1]
    peaks = (inner > energy[:-2]) & (inner >= energy[2:]) & (inner > -ACTIVE_DB / 2)
    per_100 = 100 / len(energy)
    return np.array(
        [np.log(len(energy)), active.mean(), voiced.mean(), len(stretches) * per_100, stretches.mean(),
         stretches.std(), np.log(stretches.max()), peaks.sum() * per_100]
    )  # fmt: skip


def _bands(mel: Floats) -> Floats:
    """Means of neighbouring mel bands: (frames, n_mels / BAND_MELS)."""
    together = mel.reshape(len(mel), -1, BAND_MELS).mean(axis=2)
    return np.asarray(np.maximum(together, -60))


def _modulation(curves: Floats, spec: VoiceSpec) -> Floats:
    """How strongly each curve (frames, curves) goes up and down, in eight bands of 0.3 to 31 Hz."""
    curves = (curves - curves.mean(axis=0)) * np.hanning(len(curves) + 2)[1:-1, np.newaxis]
    levels = np.abs(scipy.fft.rfft(curves, MODULATION_FFT, axis=0)) / len(curves)
    hz = np.fft.rfftfreq(MODULATION_FFT, spec.hop_length / spec.sampling_rate)
    bounds = np.searchsorted(hz, MODULATION_HZ)
    means = [levels[low:high].mean(axis=0) for low, high in pairwise(bounds)]
    return np.asarray(np.log(np.concatenate(means) + 1e-3))


def _log_covariance(one: Descriptors, cepstra: Floats, course: Floats, active: Booleans) -> Floats:
    """How twelve of the descriptors move together: the logarithm of their covariance matrix, its upper half.

    Source: Arsigny et al. 2006, doi 10.1002/mrm.20965.
    """
    values = np.column_stack(
        [cepstra[:, :8] / 5, 5 * one.shape[:, 0], one.energy / 5, one.shape[:, 8] / 5, course]
    )[active]
    covariance = np.cov(values.T) if len(values) > 1 else np.zeros((12, 12))
    scales, directions = np.linalg.eigh(covariance + RIDGE * np.eye(12))
    logarithm = (directions * np.log(scales)) @ directions.T
    return np.asarray(logarithm[np.triu_indices(12)])


@lru_cache
def _dct(spec: VoiceSpec) -> Floats:
    """The orthonormal DCT-II from the second row on, to be multiplied from the right: (n_mels, CEPSTRA)."""
    matrix = scipy.fft.dct(np.eye(spec.n_mels), axis=0, norm="ortho")
    return np.asarray(matrix[1 : CEPSTRA + 1].T, np.float32)
