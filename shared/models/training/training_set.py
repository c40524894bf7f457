"""What the networks of v8 are shown: recordings as they are and as life makes them, mixed with each
other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.audio.features import Floats
from shared.audio.spec import EncodedSpec, VoiceSpec
from shared.models.data.folds import Indices
from shared.models.training.distance import Directions
from shared.models.training.fit_result import FoldData
from shared.models.training.hints import hints_of
from shared.models.training.losses import masked_targets

LABEL_SMOOTHING = 0.1
MIXUP = 0.3  # of the beta distribution that shares are drawn from
FARTHEST = 4.0  # z-scores beyond it say no more: a silent band, another microphone
FLATTEST_STD = 1e-6
# How often a recording is heard as life makes it. Half: on unheard speakers nothing was lost of recordings as
# they are (decision 013).
SHARE_OF_DRAWS = 0.5
# How many of the clips of foreign corpora each epoch shows. All of them cost 0.02 of the own corpus and its
# networks' time again; of a corpus that nobody taught a third to half as much is learnt (decision 013).
SHARE_OF_FOREIGN = 0.3


class Scale(NamedTuple):
    """Where z-scores begin, and their unit, each (width,)."""

    mean: Floats
    std: Floats

    def __call__(self, values: Floats) -> Floats:
        """Values (…, width) standardised, none beyond FARTHEST."""
        return np.asarray(np.clip((values - self.mean) / self.std, -FARTHEST, FARTHEST), np.float32)


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """Which clips are shown one after the other, and which version of each: 0 as it is, then its copies; both
    of the same shape.
    """

    places: Indices
    versions: Indices

    def batches(self, clips: int) -> Iterator[BatchOrder]:
        """So many at a time."""
        for start in range(0, len(self.places), clips):
            part = slice(start, start + clips)
            yield BatchOrder(self.places[part], self.versions[part])


class TrainingSet:
    """The recordings of a fold that fit, standardised.

    Two sides of each: as a whole, which are statistics and what an encoder makes of it, if there is one; and
    frames. Both are standardised by those who fit alone, as they are.

    spec: what the network will be fed, the beginning of the fold's rows. Of an encoder that made the rest
    it is given hints.
    """

    def __init__(self, fold_data: FoldData, train: Indices, spec: VoiceSpec) -> None:
        self.spec = spec
        self._train = train
        self._versions = fold_data.features, *fold_data.copies
        self.n_outputs = len(fold_data.labels)
        is_foreign = fold_data.clips.only(train).is_foreign
        self._own, self._foreign = np.flatnonzero(~is_foreign), np.flatnonzero(is_foreign)
        self.n_clips = len(self._own) + round(SHARE_OF_FOREIGN * len(self._foreign))
        certain = np.eye(self.n_outputs, dtype=np.float32)[fold_data.classes(train)]
        self._targets = masked_targets(certain, fold_data.asked[train], LABEL_SMOOTHING)
        self._hints = np.empty((len(self._versions), len(train), 0), np.float32)
        if isinstance(fold_data.spec, EncodedSpec):
            heard = fold_data.spec.embeddings
            self._hints = hints_of([np.asarray(rows[train, heard], np.float32) for rows in self._versions])
        self._frames = slice(self.spec.statistics, self.spec.n_voice)
        whole = self._whole(fold_data.features)
        self.of_whole = Scale(whole.mean(axis=0), whole.std(axis=0) + FLATTEST_STD)
        # In half precision: 42 MB a version of 5,400 recordings.
        self._wholes = [self.of_whole(self._whole(rows)).astype(np.float16) for rows in self._versions]
        self.directions = Directions.of(np.concatenate(self._wholes), np.random.default_rng(0))
        self.of_frames = _scale_of_frames(self._as_frames(fold_data.features[train, self._frames]))

    @property
    def width(self) -> int:
        """How many numbers the whole has."""
        return len(self.of_whole.mean)

    @property
    def n_hints(self) -> int:
        return int(self._hints.shape[-1])

    def order(self, rng: np.random.Generator, *members: int) -> BatchOrder:
        """Every clip once, of foreign ones a share; for each member another order: (n_clips, *members)."""
        size = self.n_clips, *members
        some = rng.permutation(self._foreign)[: self.n_clips - len(self._own)]
        column = np.concatenate([self._own, some]).reshape(-1, *[1] * len(members))
        places = rng.permuted(np.broadcast_to(column, size), axis=0)
        versions = np.zeros(size, np.int64)
        if (draws := len(self._versions) - 1) > 0:
            is_drawn = rng.random(size) < SHARE_OF_DRAWS
            versions[is_drawn] = rng.integers(1, 1 + draws, int(is_drawn.sum()))
        return BatchOrder(places, versions)

    def targets(self, shown: BatchOrder) -> Floats:
        """(*shape of the order, 2 * n_outputs), as `masked_targets` has them."""
        return self._targets[shown.places]

    def targets_and_hints(self, shown: BatchOrder) -> Floats:
        """(*shape of the order, 2 * n_outputs + n_hints), as `hinted_crossentropy` has them."""
        hints = self._hints[shown.versions, shown.places]
        return np.concatenate([self.targets(shown), hints], axis=-1)

    def whole(self, shown: BatchOrder) -> Floats:
        """Statistics and embeddings of the clips shown, (*shape of the order, width)."""
        rows = np.empty((*shown.places.shape, self.width), np.float32)
        for version, chosen in _by_version(shown):
            rows[chosen] = self._wholes[version][shown.places[chosen]]
        return rows

    def frames(self, shown: BatchOrder) -> Floats:
        """Of an order (n,): (n, spec.frames, spec.descriptors), zeros where there is no frame."""
        rows = np.empty((len(shown.places), self.spec.frames * self.spec.descriptors), np.float32)
        for version, chosen in _by_version(shown):
            rows[chosen] = self._versions[version][self._train[shown.places[chosen]], self._frames]
        frames = self._as_frames(rows)
        return self.of_frames(frames) * frames[..., -1:]

    def _whole(self, rows: NDArray[np.floating[Any]]) -> Floats:
        """Of those who fit: (n, width)."""
        parts = [slice(self.spec.statistics)]
        if isinstance(self.spec, EncodedSpec):
            parts.append(self.spec.embeddings)
        return np.concatenate([rows[self._train, part] for part in parts], axis=1, dtype=np.float32)

    def _as_frames(self, rows: Floats) -> Floats:
        return rows.reshape(-1, self.spec.frames, self.spec.descriptors)


def _by_version(shown: BatchOrder) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    for version in np.unique(shown.versions).tolist():
        yield version, shown.versions == version


def _scale_of_frames(frames: Floats) -> Scale:
    """Over all frames that are there; the flag stays as it is."""
    there = frames[frames[..., -1] > 0]
    mean, std = there.mean(axis=0), there.std(axis=0) + FLATTEST_STD
    mean[-1], std[-1] = 0, 1
    return Scale(mean, std)


def shares(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """How much of each clip is itself, between 0 and 1."""
    return np.asarray(rng.beta(MIXUP, MIXUP, shape), np.float32)


def mixed(values: Floats, targets: Floats, shares: Floats, others: Indices) -> tuple[Floats, Floats]:
    """Each clip with a share of another one, and its target likewise (mixup: Zhang et al. 2018,
    arXiv:1710.09412). shares: (n, …), of the clip itself; others: (n,).
    """
    wide = shares.reshape(*shares.shape, *[1] * (values.ndim - shares.ndim))
    narrow = shares.reshape(*shares.shape, *[1] * (targets.ndim - shares.ndim))
    return (
        wide * values + (1 - wide) * values[others],
        narrow * targets + (1 - narrow) * targets[others],
    )
