"""The recipes by the network's name: which features it has, and how it is trained on a fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from shared.audio.spec import BASELINE_V6, ENCODED_V8, VOICE_V7, FeatureSpec
from shared.core.errors.models import UnknownNetwork
from shared.models.data.audio_data import Progress
from shared.models.metrics.calibration import Logits
from shared.models.serving.backend import load_keras
from shared.models.serving.detectors import SILERO
from shared.models.serving.manifest import DetectorRef, Speakers
from shared.models.training.baseline import BaselineSplit, TrainingConfig, fit
from shared.models.training.ensemble import train_ensemble
from shared.models.training.fit_result import FitResult, Fits, ValidationOutputs, fit_result
from shared.models.training.fold_data import FoldData


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """How a network is trained.

    Attributes:
        spec: the network's features.
        train: trains it on the data of a fold, given results of trainings that folds have in common.
        copies: how many altered copies of each recording are trained on too.
        cross_validated: whether all clips of the training side train and temperature and thresholds come from
            a cross-validation; else some speakers are held out for that.
        detector: says whether there is a voice, in the versions that are made.
        hint_spec: features that begin with those of `spec` and go on with embeddings, of which the network
            gets hints; None: no hints.
    """

    spec: FeatureSpec
    train: Callable[[FoldData, TrainingConfig, Progress, Fits | None], FitResult]
    copies: int = 0
    cross_validated: bool = False
    detector: DetectorRef | None = None
    hint_spec: FeatureSpec | None = None

    @property
    def read_spec(self) -> FeatureSpec:
        """The features that training needs."""
        return self.hint_spec or self.spec


def train_baseline(
    fold_data: FoldData, config: TrainingConfig, report: Progress, _fits: Fits | None = None
) -> FitResult:
    """Train the baseline's network; the validation selects its epoch too.

    Args:
        fold_data: the data of the fold.
        config: seed and epochs.
        report: called as report("training", done, total).
        _fits: not used.
    """
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


COPIES = 4  # three and five were as good (decision 013)
RECIPES = {
    "seed": NetworkRecipe(BASELINE_V6, train_baseline),
    "v8": NetworkRecipe(
        ENCODED_V8, partial(train_ensemble, spec=ENCODED_V8), COPIES, cross_validated=True, detector=SILERO
    ),
    "v8-small": NetworkRecipe(
        VOICE_V7,
        partial(train_ensemble, spec=VOICE_V7),
        COPIES,
        cross_validated=True,
        detector=SILERO,
        hint_spec=ENCODED_V8,
    ),
}


# Networks of versions that still serve, whose recipe is gone: what is trained in their place.
SUCCESSORS = {"v7": "v8-small"}


def successor(network: str) -> str:
    """The network that a retraining of a version with this network trains."""
    return SUCCESSORS.get(network, network)


def recipe_of(network: str) -> NetworkRecipe:
    """The recipe of a network.

    Raises:
        UnknownNetwork: there is no such network.
    """
    if network not in RECIPES:
        raise UnknownNetwork(network=network, known=", ".join(RECIPES))
    return RECIPES[network]
