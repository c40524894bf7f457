"""The ways to train, by the network's name: what it is fed, and how it learns from a fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from shared.audio.spec import BASELINE_V6, ENCODED_V8, VOICE_V7, FeatureSpec
from shared.core.errors.models import UnknownNetwork
from shared.models.metrics.calibration import Logits
from shared.models.serving.backend import load_keras
from shared.models.serving.detectors import SILERO
from shared.models.serving.manifest import DetectorRef, Speakers
from shared.models.training.baseline import BaselineSplit, Report, TrainingConfig, fit
from shared.models.training.ensemble import learn_ensemble
from shared.models.training.fit_result import FitResult, Fits, FoldData, ValidationOutputs, fit_result


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """How a network is trained.

    spec: what the network is fed, the beginning of a row; heard: what the rows of those who learn have, if
    that is more, of which the network is given hints; learn: from a fold's data, and what other folds' parts
    have taught; draws: how many copies of each recording as life makes it are learnt from too; cross: whether
    everybody on the learning side fits, and chooses crosswise, or some speakers choose; detector: what says
    whether there is a voice, for the versions.
    """

    spec: FeatureSpec
    learn: Callable[[FoldData, TrainingConfig, Report, Fits | None], FitResult]
    draws: int = 0
    cross: bool = False
    detector: DetectorRef | None = None
    heard: FeatureSpec | None = None

    @property
    def read(self) -> FeatureSpec:
        """The features that are needed to learn."""
        return self.heard or self.spec


def learn_baseline(
    fold_data: FoldData, config: TrainingConfig, report: Report, _fits: Fits | None = None
) -> FitResult:
    """The seed's recipe; those who choose choose its epoch too."""
    load_keras().backend.clear_session()
    fold, features = fold_data.fold, fold_data.features
    parts = BaselineSplit(
        labels=fold_data.labels,
        train=features[fold.train],
        train_classes=fold_data.classes(fold.train),
        test=features[fold.validation],
        test_classes=fold_data.classes(fold.validation),
        speakers=Speakers(
            training=np.unique(fold_data.clips.speakers[fold.train]).tolist(),
            test=np.unique(fold_data.clips.speakers[fold.validation]).tolist(),
            reserve=[],
        ),
    )
    with TemporaryDirectory() as folder:
        trained = fit(parts, config, Path(folder) / "best.keras", report)
    logits = Logits(trained.network)
    validation = ValidationOutputs.of(fold_data, fold, logits)
    return fit_result(fold_data, trained.network, validation, trained.history, trained.best_epoch)


DRAWS = 4  # three and five taught as much (decision 013)
RECIPES = {
    "seed": NetworkRecipe(BASELINE_V6, learn_baseline),
    "v8": NetworkRecipe(
        ENCODED_V8, partial(learn_ensemble, spec=ENCODED_V8), DRAWS, cross=True, detector=SILERO
    ),
    "v8-small": NetworkRecipe(
        VOICE_V7,
        partial(learn_ensemble, spec=VOICE_V7),
        DRAWS,
        cross=True,
        detector=SILERO,
        heard=ENCODED_V8,
    ),
}


# Networks of versions that still serve, whose recipe is gone: what is trained in their place.
SUCCESSORS = {"v7": "v8-small"}


def successor(network: str) -> str:
    """The network that a retraining of a version of this one trains."""
    return SUCCESSORS.get(network, network)


def recipe_of(network: str) -> NetworkRecipe:
    """The recipe of a network; raises UnknownNetwork."""
    if network not in RECIPES:
        raise UnknownNetwork(network=network, known=", ".join(RECIPES))
    return RECIPES[network]
