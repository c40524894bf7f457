"""The ways to train, by the network's name: what it is fed, and how it learns from a fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from shared.audio.spec import ENCODED_V8, SEED_V6, VOICE_V7, FeatureSpec
from shared.core.errors.models import UnknownNetwork
from shared.models.metrics.calibration import Logits
from shared.models.serving.backend import load_keras
from shared.models.serving.detectors import SILERO
from shared.models.serving.registry import DetectorRef, Speakers
from shared.models.training.committee import learn_committee
from shared.models.training.learning import Chosen, Fits, Learnt, Lesson, learnt
from shared.models.training.training import BaselineSplit, Recipe, Report, fit


@dataclass(frozen=True, slots=True)
class Method:
    """spec: what the network is fed, the beginning of a lesson's rows; lessons: the features of these, if
    they have more, of which it is given hints; learn: from a fold's lesson, and what other folds' parts have
    taught;
    draws: how many copies of each recording as life makes it are learnt from too; cross: whether everybody on
    the learning side fits, and chooses crosswise, or some speakers choose; detector: what says whether there
    is a voice, for the versions."""

    spec: FeatureSpec
    learn: Callable[[Lesson, Recipe, Report, Fits | None], Learnt]
    draws: int = 0
    cross: bool = False
    detector: DetectorRef | None = None
    lessons: FeatureSpec | None = None

    @property
    def read(self) -> FeatureSpec:
        """The features that are needed to learn."""
        return self.lessons or self.spec


def learn_seed(lesson: Lesson, recipe: Recipe, report: Report, _fits: Fits | None = None) -> Learnt:
    """The seed's recipe; those who choose choose its epoch too."""
    load_keras().backend.clear_session()
    fold, features = lesson.fold, lesson.features
    parts = BaselineSplit(
        labels=lesson.labels,
        train=features[fold.train],
        train_classes=lesson.classes(fold.train),
        test=features[fold.inner],
        test_classes=lesson.classes(fold.inner),
        speakers=Speakers(
            training=np.unique(lesson.clips.speakers[fold.train]).tolist(),
            test=np.unique(lesson.clips.speakers[fold.inner]).tolist(),
            reserve=[],
        ),
    )
    with TemporaryDirectory() as folder:
        trained = fit(parts, recipe, Path(folder) / "best.keras", report)
    logits = Logits(trained.network)
    chosen = Chosen.of(lesson, fold, logits)
    return learnt(lesson, trained.network, chosen, trained.history, trained.best_epoch)


DRAWS = 4  # three and five taught as much (decision 013)
METHODS = {
    "seed": Method(SEED_V6, learn_seed),
    "v8": Method(ENCODED_V8, partial(learn_committee, spec=ENCODED_V8), DRAWS, cross=True, detector=SILERO),
    "v8-small": Method(
        VOICE_V7,
        partial(learn_committee, spec=VOICE_V7),
        DRAWS,
        cross=True,
        detector=SILERO,
        lessons=ENCODED_V8,
    ),
}


# Networks of versions that still serve, whose recipe is gone: what is trained in their place.
SUCCESSORS = {"v7": "v8-small"}


def successor(network: str) -> str:
    """The network that a retraining of a version of this one trains."""
    return SUCCESSORS.get(network, network)


def method(network: str) -> Method:
    """The method of a network; raises UnknownNetwork."""
    if network not in METHODS:
        raise UnknownNetwork(network=network, known=", ".join(METHODS))
    return METHODS[network]
