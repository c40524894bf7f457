"""From windows of samples to what a network is fed: the one path of training and serving."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.audio.seed_features import seed_features
from shared.audio.spec import FeatureSpec, SeedSpec
from shared.audio.voice import voice_features

Floats = NDArray[np.float32]


def fixed_length(samples: Floats, spec: FeatureSpec) -> Floats:
    """Cut, or pad with zeros at the end, to shape (spec.n_samples,); a view where nothing is missing."""
    cut = samples[: spec.n_samples]
    missing = spec.n_samples - len(cut)
    return np.pad(cut, (0, missing)) if missing else cut


def features(samples: Floats, spec: FeatureSpec) -> Floats:
    """Features of windows shaped (n, spec.n_samples), float32: (n, *spec.shape)."""
    return seed_features(samples, spec) if isinstance(spec, SeedSpec) else voice_features(samples, spec)
