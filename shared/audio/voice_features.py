"""The features of v7: what is known of a window as a whole, and its descriptors frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.audio import pitch
from shared.audio.arrays import Floats
from shared.audio.descriptors import Descriptors, Melody, describe
from shared.audio.spec import VoiceSpec
from shared.audio.statistics import statistics
from shared.audio.threads import one_blas_thread

QUIETEST_DB = -70.0  # below the loud level: a frame or a band that is quieter says no more


def voice_features(windows: Floats, spec: VoiceSpec) -> Floats:
    """Compute features of windows.

    Args:
        windows: samples, float32, shape (n, spec.n_samples).
        spec: of the features.

    Returns:
        Statistics, then frames: shape (n, spec.n_voice).
    """
    rows = np.zeros((len(windows), spec.n_voice), np.float32)
    with one_blas_thread():
        described = [describe(window, spec) for window in windows]
        for row, one, melody in zip(rows, described, melodies(described, spec), strict=True):
            row[: spec.statistics] = statistics(one, melody, spec)
            shown = _frames(one, melody)
            start = max(0, len(shown) - spec.frames) // 2
            shown = shown[start : start + spec.frames]
            row[spec.statistics :].reshape(spec.frames, -1)[: len(shown)] = shown
    return np.nan_to_num(rows, copy=False)


def melodies(described: Sequence[Descriptors], spec: VoiceSpec) -> list[Melody]:
    """The pitch of each window.

    Computed for all windows at once: a step along the path costs as much for one as for 32.

    Args:
        described: their descriptors.
        spec: of the features.
    """
    if not described:
        return []
    lengths = np.array([len(one.energy) for one in described])
    size = len(described), int(lengths.max()), pitch.CANDIDATES
    semitones, strengths = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for place, one in enumerate(described):
        semitones[place, : lengths[place]] = one.semitones
        strengths[place, : lengths[place]] = one.strengths
    ways = pitch.smoothest(semitones, strengths, lengths)
    return [Melody.along(way[: len(one.energy)], one, spec) for way, one in zip(ways, described, strict=True)]


def _frames(one: Descriptors, melody: Melody) -> Floats:
    """Energy, mel bands, harmonics, shape, pitch, voicing and a flag: (frames, spec.descriptors)."""
    levels = np.column_stack([one.energy, one.mel, melody.harmonics])
    there = np.ones(len(one.energy), np.float32)
    return np.column_stack(
        [np.maximum(levels, QUIETEST_DB), one.shape, melody.semitones, melody.correlation, there]
    )
