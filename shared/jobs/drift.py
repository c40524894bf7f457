"""Whether what a version hears lately is like what its threshold was set on.

Only the confidences are compared: of the clips that it was calibrated on its manifest keeps nothing else. A
shift says that recordings are of another kind, not that answers are wrong: labels say that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from shared.database import predictions
from shared.database.sessions import Database
from shared.models.serving.manifest import Manifest
from voxmood.documents import DriftBin, DriftDocument
from voxmood.states import DriftState

BINS = 10
# Of fewer clips chance alone gives 0.1: its mean is (bins - 1) / clips of a bin's expected share.
FEWEST_CLIPS = 200
# The usual marks for the index, as of Siddiqi 2006, Credit Risk Scorecards.
SHIFTED, CHANGED = 0.1, 0.25
EMPTY = 1e-4  # in place of a share of 0, whose logarithm is not finite
DAY_S = 86_400.0


def drift(database: Database, manifest: Manifest, days: float, key_id: int | None = None) -> DriftDocument:
    """How far a version's confidences of the last days are from those that its threshold was set on.

    Args:
        database: with the predictions.
        manifest: of the version.
        days: jobs that were started in them count.
        key_id: only jobs that this API key made; None: all.
    """
    bounds, expected = calibration_bins(manifest.threshold_rule.curve)
    counts: list[int] = []
    if bounds:
        with database.read() as connection:
            counts = predictions.confidence_counts(
                connection, database, manifest.version, days * DAY_S, bounds, key_id
            )
    clips = sum(counts)
    index = None if clips < FEWEST_CLIPS else population_stability(expected, [one / clips for one in counts])
    return DriftDocument(
        version=manifest.version,
        days=days,
        clips=clips,
        index=index,
        state=_state(index),
        bins=[
            DriftBin(low=low, high=high, expected=share, found=count / clips if clips else 0.0)
            for (low, high), share, count in zip(pairwise(bounds), expected, counts, strict=True)
        ],
    )


def calibration_bins(curve: Sequence[tuple[float, float, float]]) -> tuple[list[float], list[float]]:
    """Ranges of confidence, each with about a tenth of the clips that a version was calibrated on.

    Args:
        curve: thresholds, falling, with the share of clips at or above each, and a risk.

    Returns:
        The bounds of the ranges, from 0 to 1, and the share of clips in each; both empty without a curve.
    """
    if not curve:
        return [], []
    above: list[tuple[float, float]] = [(1.0, 0.0)]
    for threshold, coverage, _ in curve:
        is_next = coverage - above[-1][1] >= 1 / BINS - 1e-9
        if is_next and threshold < above[-1][0] and 1 - coverage >= 1 / BINS / 2:
            above.append((threshold, coverage))
    above.append((0.0, 1.0))
    rising = above[::-1]
    bounds = [threshold for threshold, _ in rising]
    return bounds, [low - high for (_, low), (_, high) in pairwise(rising)]


def population_stability(expected: Sequence[float], found: Sequence[float]) -> float:
    """The population stability index of two distributions over the same bins.

    Args:
        expected: the share of each bin then.
        found: the share of each bin now.

    >>> population_stability([0.5, 0.5], [0.5, 0.5])
    0.0
    >>> round(population_stability([0.5, 0.5], [0.9, 0.1]), 3)
    0.879
    """
    pairs = [(max(one, EMPTY), max(other, EMPTY)) for one, other in zip(expected, found, strict=True)]
    return math.fsum((now - then) * math.log(now / then) for then, now in pairs)


def _state(index: float | None) -> DriftState:
    if index is None:
        return DriftState.UNKNOWN
    if index < SHIFTED:
        return DriftState.STABLE
    return DriftState.SHIFTED if index < CHANGED else DriftState.CHANGED
