"""How far the notes of a recording are from the semitones of A440: librosa.estimate_tuning without numba.

The estimate is the mode of a histogram whose bins often tie, so that one peak more or less moves it: spectra
in float32 alone gave 2 clips of 100 another tuning. So `estimate_tuning` takes spectra in float32 together
with a function that computes single frames again in float64, and asks for the frames whose peaks are in
doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.spec import BASELINE_V6, BaselineSpec

Wide = NDArray[np.floating[Any]]  # float64: an integer and a float32 make one
Indices = NDArray[np.intp]

LOUD = np.float32(0.1)  # librosa.piptrack's threshold, of the frame's maximum
EDGES = np.linspace(-0.5, 0.5, 101)  # of the histogram's bins, in semitones
# Most by which a power in float32 differs from its exact one, over its frame's maximum: twice the 8.8e-7 of
# RAVDESS's 2,036 clips.
ERROR = np.float32(1.8e-6)
FAINTEST = np.float32(1e-30)  # of a frame's maximum: beneath it float32 runs out of digits
SEMITONE = 12 / np.log(2)  # of 1 % more pitch, 0.17
ROUNDING = 1.2e-5  # of a deviation, by its logarithm in float32: 12 · log2 is up to 86, in steps of 8e-6


class _Peaks(NamedTuple):
    """Peaks of a spectrogram, each with a parabola through it and its neighbours.

    Attributes:
        candidate: which of the candidates it was.
        bin_: its frequency bin.
        shift: of the parabola's top from the bin, within ±0.5.
        magnitude: the power there.
        bend: minus the parabola's curvature, power a bin².
    """

    candidate: Indices
    bin_: Indices
    shift: Floats
    magnitude: Floats
    bend: Wide


def estimate_tuning(
    power: Floats, spec: BaselineSpec = BASELINE_V6, make_exact: Callable[[Indices], None] | None = None
) -> float:
    """The tuning of a power spectrogram.

    It is the mode of the deviations of spectral peaks from the semitones of A440. The peaks are those between
    150 and 4000 Hz that reach a tenth of their frame's maximum, refined by a parabola; the upper half of them
    by magnitude counts. Precisions follow librosa's, because the last bit decides the ties of the histogram.

    Args:
        power: shape (frames, bins).
        spec: of the features.
        make_exact: for a spectrogram in float32: writes the rows of these frames again, computed in float64.

    Returns:
        In fractions of a semitone.

    Source: librosa.estimate_tuning; Smith, "Spectral Audio Signal Processing", 2011.
    """
    top = power.max(axis=1)
    frame, bin_ = _candidates(power, top, spec)
    if make_exact is not None:
        doubtful = _doubtful(power, top, frame, bin_, spec)
        if len(doubtful):
            make_exact(doubtful)
            top[doubtful] = power[doubtful].max(axis=1)
    peaks = _peaks(power, top, frame, bin_)
    if not len(peaks.candidate):
        return 0.0
    upper = np.flatnonzero(peaks.magnitude >= _median(peaks.magnitude))
    deviation = np.sort(_deviation(peaks.bin_[upper] + peaks.shift[upper], spec))
    counts = np.diff(np.searchsorted(deviation, EDGES))
    return float(EDGES[np.argmax(counts)])


def _candidates(power: Floats, top: Floats, spec: BaselineSpec) -> tuple[Indices, Indices]:
    """The (frame, bin) of everything that is a peak, or could be one within the error."""
    hz_per_bin = spec.sampling_rate / spec.chroma_n_fft
    low, high = int(np.ceil(150 / hz_per_bin)), int(np.ceil(4000 / hz_per_bin))
    is_loud = power[:, low:high] > ((LOUD - 2 * ERROR) * top)[:, np.newaxis]
    # np.nonzero on two axes takes five times as long, np.divmod three times.
    places = np.flatnonzero(is_loud)
    frame = places // (high - low)
    bin_ = places - frame * (high - low) + low
    left, here, right = _neighbourhood(power, frame, bin_)
    raised = here + 2 * ERROR * top[frame]
    possible = np.flatnonzero((raised > left) & (raised >= right))
    return frame[possible], bin_[possible]


def _neighbourhood(power: Floats, frame: Indices, bin_: Indices) -> tuple[Floats, Floats, Floats]:
    flat, place = power.reshape(-1), frame * power.shape[1] + bin_
    return flat[place - 1], flat[place], flat[place + 1]


def _peaks(
    power: Floats, top: Floats, frame: Indices, bin_: Indices, error: float | np.float32 = 0.0
) -> _Peaks:
    """Those candidates that are peaks even if each power is wrong by `error` of its frame's maximum."""
    left, here, right = _neighbourhood(power, frame, bin_)
    top = top[frame]
    lowered = here - 2 * error * top
    index = np.flatnonzero((lowered > LOUD * top) & (lowered > left) & (lowered >= right))
    left, here, right = left[index], here[index], right[index]
    slope = (right - left).astype(np.float64) / 2
    bend = 2.0 * here - (left + right).astype(np.float64)
    inside = np.abs(slope) < np.abs(bend)  # else the parabola is flat but for rounding
    shift = np.divide(slope, bend, where=inside, out=np.zeros_like(slope)).astype(np.float32)
    magnitude = here + np.float32(0.5) * ((right - left) / np.float32(2)) * shift
    return _Peaks(index, bin_[index], shift, magnitude, bend)


def _deviation(place: Wide, spec: BaselineSpec) -> Floats:
    """The deviation from the nearest semitone of A440, -0.5 to 0.5; `place` is in bins."""
    pitch = (place * float(spec.sampling_rate) / spec.chroma_n_fft).astype(np.float32)
    semitones = 12 * np.log2(pitch / np.float32(440 / 16))
    deviation = semitones - np.floor(semitones)  # np.mod(semitones, 1), 20 times as fast
    return np.asarray(deviation - (deviation >= 0.5))


def _doubtful(power: Floats, top: Floats, frame: Indices, bin_: Indices, spec: BaselineSpec) -> Indices:
    """Frames in which an error of ERROR could make or unmake a peak, or move one across a limit.

    The limits are the median of the magnitudes and, for peaks above it, the edges of the histogram's bins.
    """
    peaks = _peaks(power, top, frame, bin_, ERROR)
    is_doubtful = np.ones(len(frame), bool)
    is_doubtful[peaks.candidate] = False
    is_doubtful |= top[frame] < FAINTEST
    if len(peaks.candidate):
        middle = len(peaks.candidate) // 2
        median = np.partition(peaks.magnitude, middle)[middle]
        # In a magnitude are three powers' errors, of up to ten times the peak; in the median too. The one
        # that is the median stays so.
        from_median = peaks.magnitude - median
        is_near = (np.abs(from_median) <= 60 * ERROR * median) & (from_median != 0)
        is_doubtful[peaks.candidate[is_near]] = True

        upper = np.flatnonzero(from_median >= 0)
        index, bin_ = peaks.candidate[upper], peaks.bin_[upper]
        # A shift is half a rise over a bend: errors of 1 and 4 powers, the second times the shift.
        shift_error = 3 * ERROR * top[frame[index]] / peaks.bend[upper]
        from_edge = 100 * _deviation(bin_ + peaks.shift[upper], spec)
        is_near = np.abs(from_edge - np.rint(from_edge)) <= 100 * (SEMITONE * shift_error / bin_ + ROUNDING)
        is_doubtful[index[is_near]] = True
    return np.flatnonzero(np.bincount(frame[is_doubtful]))


def _median(values: Floats) -> np.float32:
    """The median as np.median computes it, without the checks that took three times as long."""
    middle = len(values) // 2
    if len(values) % 2:
        return np.float32(np.partition(values, middle)[middle])
    below, above = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return np.float32((below + above) / np.float32(2))
