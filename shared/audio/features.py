"""From windows of samples to the input of a network; training and serving both use this."""

from __future__ import annotations

import numpy as np

from shared.audio.arrays import Floats as Floats
from shared.audio.baseline_features import baseline_features
from shared.audio.rumble import without_rumble
from shared.audio.spec import BaselineSpec, FeatureSpec, VoiceSpec
from shared.audio.voice_features import voice_features


def fixed_length(samples: Floats, spec: FeatureSpec, clear: Floats | None = None) -> Floats:
    """Cut or pad the samples of a window to the length that its features need.

    Voice features are computed of samples without rumble, the baseline's of samples as they are; of those the
    result is a view where nothing is missing.

    Args:
        samples: shape (n,).
        spec: of the features; its first `spec.seconds` are taken.
        clear: the same samples without rumble, at most `spec.seconds`, for callers that have them already.

    Returns:
        Shape (spec.n_samples,), with zeros at the end of a shorter window.
    """
    cut = samples[: spec.n_samples]
    if isinstance(spec, VoiceSpec) and len(cut):
        cut = without_rumble(cut, spec.sampling_rate) if clear is None else clear
    missing = spec.n_samples - len(cut)
    return np.pad(cut, (0, missing)) if missing else cut


def features(samples: Floats, spec: FeatureSpec) -> Floats:
    """Compute features of windows.

    Args:
        samples: float32, shape (n, spec.n_samples).
        spec: which features.

    Returns:
        Float32, shape (n, *spec.shape). Of an EncodedSpec only those that need no encoder, shape (n,
        spec.n_voice); `shared.models.serving.encoders.feature_maker` computes all of them.
    """
    return (
        baseline_features(samples, spec) if isinstance(spec, BaselineSpec) else voice_features(samples, spec)
    )
