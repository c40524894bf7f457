"""The recipe of v7: some small networks that differ by their draws alone, joined into one.

Each learns from its own mixtures of clips (mixup: Zhang et al. 2018, arXiv:1710.09412) with smoothed labels;
the joined network's logits are the mean of theirs. No training chooses its epoch or settings by clips, so all
who learn fit; what the settings below were compared by is said in docs/decisions/006. Temperature and
thresholds come from the same recipe run crosswise over the learning speakers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from shared.audio.features import Floats, features, fixed_length
from shared.audio.spec import FeatureSpec
from shared.audio.synthesis import NON_SPEECH, non_speech
from shared.emotion.backend import load_keras
from shared.emotion.calibration import Logits
from shared.emotion.folds import Fold, Indices
from shared.emotion.learning import Chosen, Learnt, Lesson, learnt
from shared.emotion.networks import FARTHEST, build_towers, joined
from shared.emotion.training import Recipe, Report

MEMBERS, EPOCHS = 5, 100
BATCH_CLIPS = 64
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-3
LABEL_SMOOTHING = 0.1
MIXUP = 0.3  # of the beta distribution that shares are drawn from
FLATTEST_STD = 1e-6
NEGATIVES = 40  # sounds of each kind without a voice; a version's own seeds, which no evaluation uses
FIRST_NEGATIVE = 10_000


def learn_committee(lesson: Lesson, recipe: Recipe, report: Report) -> Learnt:
    """Fit on all who learn; temperature and thresholds from the crossed parts of the fold."""
    done = count(1)
    total = (1 + len(lesson.fold.crossed)) * (recipe.epochs or EPOCHS)

    def advance() -> None:
        report("training", next(done), total)

    chosen = [_chosen(lesson, part, recipe, advance) for part in lesson.fold.crossed]
    network, history = fit_committee(lesson, lesson.fold.train, recipe, advance)
    return learnt(lesson, network, _together(chosen), history, best_epoch=len(history["loss"]))


def _chosen(lesson: Lesson, part: Fold, recipe: Recipe, advance: Callable[[], None]) -> Chosen:
    network, _ = fit_committee(lesson, part.train, recipe, advance)
    logits = Logits(network)
    return Chosen(
        known=logits(lesson.features[part.inner]),
        classes=lesson.classes(part.inner),
        unknown=logits(lesson.features[part.tuning]),
        unknown_emotions=lesson.clips.emotions[part.tuning],
    )


def _together(parts: list[Chosen]) -> Chosen:
    fields = ([getattr(part, name) for part in parts] for name in Chosen.__dataclass_fields__)
    return Chosen(*(np.concatenate(values) for values in fields))


def fit_committee(
    lesson: Lesson, train: Indices, recipe: Recipe, advance: Callable[[], None]
) -> tuple[Any, dict[str, list[float]]]:
    """The joined network and the mean loss of its members by epoch.

    The statistics are those of `train`; the last output is no emotion but "no voice". The same seed gives
    the same weights on the same machine. `advance` is called after each epoch.
    """
    draws = Draws(lesson, train, np.random.default_rng(recipe.seed))
    towers = _new_towers(draws.width, draws.n_outputs, recipe.seed)
    epochs = recipe.epochs or EPOCHS
    losses = []
    for epoch in range(epochs):
        towers.optimizer.learning_rate = LEARNING_RATE * (1 + math.cos(math.pi * epoch / epochs)) / 2
        of_batches = [towers.train_on_batch(*batch) for batch in draws.epoch()]
        losses.append(float(of_batches[-1]))  # the mean since the last reset
        towers.reset_metrics()
        advance()
    return joined(towers, draws.mean, draws.std), {"loss": losses}


def _new_towers(width: int, n_outputs: int, seed: int) -> Any:
    """Compiled towers with weights drawn by the seed, and an optimizer that remembers nothing."""
    towers = _compiled_towers(width, n_outputs)
    load_keras().utils.set_random_seed(seed)
    drawn = build_towers(width, n_outputs, MEMBERS)
    for layer, fresh in zip(towers.layers, drawn.layers, strict=True):
        for variable, value in zip(layer.variables, fresh.variables, strict=True):
            variable.assign(value)
    for variable in towers.optimizer.variables:
        variable.assign(variable * 0)
    return towers


@lru_cache(maxsize=2)
def _compiled_towers(width: int, n_outputs: int) -> Any:
    """One for all trainings of a process: tracing takes 2.5 s, a hundred of its steps."""
    keras = load_keras()
    towers = build_towers(width, n_outputs, MEMBERS)
    towers.compile(
        keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,  # by XLA a step takes 150 ms on two cores instead of 22
    )
    return towers


class Draws:
    """What the members are shown: each epoch every clip once, for each member mixed with another clip.

    Of a recording of speech each member gets one speed of all, drawn anew; a song keeps its own, since at
    another it is another song (decision 006).
    """

    def __init__(self, lesson: Lesson, train: Indices, rng: np.random.Generator) -> None:
        self._rng = rng
        self.n_outputs = len(lesson.labels) + 1
        self.mean = lesson.features[train].mean(axis=0)
        self.std = lesson.features[train].std(axis=0) + FLATTEST_STD
        copies = np.concatenate([lesson.features[np.newaxis, train], lesson.copies[:, train]])
        foreign = negatives(lesson.spec)
        foreign = np.broadcast_to(foreign, (len(copies), *foreign.shape))
        self._copies = standardised(np.concatenate([copies, foreign], axis=1), self.mean, self.std)
        self.n_clips, self.width = self._copies.shape[1:]
        self._is_fixed = np.append(lesson.is_song[train], np.ones(foreign.shape[1], bool))
        classes = np.append(lesson.classes(train), np.full(foreign.shape[1], self.n_outputs - 1))
        targets = np.eye(self.n_outputs, dtype=np.float32)[classes]
        self._targets = targets * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / self.n_outputs

    def epoch(self) -> Iterator[tuple[Floats, Floats]]:
        """Batches of inputs (batch, members, width) and targets (batch, members, outputs)."""
        size = self.n_clips, MEMBERS
        order = self._rng.permuted(np.broadcast_to(np.arange(self.n_clips)[:, None], size), axis=0)
        speeds = self._rng.integers(len(self._copies), size=size)
        speeds[self._is_fixed[order]] = 0
        for start in range(0, self.n_clips, BATCH_CLIPS):
            places = order[start : start + BATCH_CLIPS]
            inputs = self._copies[speeds[start : start + BATCH_CLIPS], places]
            targets = self._targets[places]
            shares = self._rng.beta(MIXUP, MIXUP, (*places.shape, 1)).astype(np.float32)
            others = self._rng.permutation(len(places))
            yield (
                shares * inputs + (1 - shares) * inputs[others],
                shares * targets + (1 - shares) * targets[others],
            )


def standardised(inputs: Floats, mean: Floats, std: Floats) -> Floats:
    """What the joined network does first: z-scores (…, width), none beyond FARTHEST."""
    return np.asarray(np.clip((inputs - mean) / std, -FARTHEST, FARTHEST), np.float32)


@lru_cache(maxsize=1)
def negatives(spec: FeatureSpec) -> Floats:
    """Features of sounds without a voice (n, *shape), the same for every training."""
    sounds = [
        fixed_length(non_speech(kind, spec.sampling_rate, seconds, FIRST_NEGATIVE + seed), spec)
        for kind in NON_SPEECH
        for seed, seconds in enumerate(np.linspace(1.0, spec.seconds, NEGATIVES))
    ]
    return features(np.stack(sounds), spec)
