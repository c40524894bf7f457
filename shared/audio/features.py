"""From windows of samples to what a network is fed: the one path of training and serving."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.audio.baseline_features import baseline_features
from shared.audio.rumble import without_rumble
from shared.audio.spec import BaselineSpec, FeatureSpec, VoiceSpec
from shared.audio.voice_features import voice_features

Floats = NDArray[np.float32]


def fixed_length(samples: Floats, spec: FeatureSpec, clear: Floats | None = None) -> Floats:
    """What is described of a recording: its first spec.seconds, or it and zeros behind it, (spec.n_samples,).

    clear: the same samples without rumble, of those who have them already; at most spec.seconds.

    Voice features are of what is left without rumble; the seed's of the samples as they are, where nothing is
    missing a view of them.
    """
    cut = samples[: spec.n_samples]
    if isinstance(spec, VoiceSpec) and len(cut):
        cut = without_rumble(cut, spec.sampling_rate) if clear is None else clear
    missing = spec.n_samples - len(cut)
    return np.pad(cut, (0, missing)) if missing else cut


def features(samples: Floats, spec: FeatureSpec) -> Floats:
    """Features of windows shaped (n, spec.n_samples), float32: (n, *spec.shape), of an EncodedSpec those that
    need no encoder (n, spec.n_voice); shared.models.serving.encoders.feature_maker makes all of them.
    """
    return (
        baseline_features(samples, spec) if isinstance(spec, BaselineSpec) else voice_features(samples, spec)
    )
