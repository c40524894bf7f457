"""Batches for the networks of v8: recordings and copies of them, standardised and mixed with each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.audio.features import Floats
from shared.audio.spec import EncodedSpec, VoiceSpec
from shared.models.data.folds import Indices
from shared.models.training.distance import PrincipalAxes
from shared.models.training.fold_data import FoldData
from shared.models.training.hints import hints_of
from shared.models.training.losses import masked_targets
from shared.models.training.scaling import Scale

LABEL_SMOOTHING = 0.1
MIXUP = 0.3  # of the beta distribution that shares are drawn from
# How often a copy is shown in place of its recording. With a half, accuracy on unaltered recordings of unseen
# speakers did not fall (decision 013).
SHARE_OF_COPIES = 0.5
# The share of the clips of foreign corpora that each epoch shows. All of them cost 0.02 of accuracy on the
# main corpus and as much time again; this share gains a third to half as much on an unseen corpus (decision
# 013).
SHARE_OF_FOREIGN = 0.3


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """Which clips come one after another, and which version of each.

    Attributes:
        places: indices of the clips.
        versions: 0 for the clip itself, then its copies; same shape.
    """

    places: Indices
    versions: Indices

    def batches(self, clips: int) -> Iterator[BatchOrder]:
        """So many clips at a time."""
        for start in range(0, len(self.places), clips):
            part = slice(start, start + clips)
            yield BatchOrder(self.places[part], self.versions[part])


class TrainingSet:
    """The clips of a fold that train, standardised by themselves, without their copies.

    Each has two sides: the whole, which is statistics and embeddings, if there is an encoder; and its frames.

    Attributes:
        spec: the features of the network, which are the beginning of the fold's rows.
        n_outputs: the emotions.
        n_clips: clips an epoch.
        of_whole: the scale of the whole.
        of_frames: the scale of the frames.
        directions: in which the whole varies most.
    """

    def __init__(self, fold_data: FoldData, train: Indices, spec: VoiceSpec) -> None:
        """Standardise the clips.

        Args:
            fold_data: the data of the fold.
            train: the clips that train.
            spec: the features of the network. Of embeddings behind them it gets hints.
        """
        self.spec = spec
        self._train = train
        self._versions = fold_data.features, *fold_data.copies
        self.n_outputs = len(fold_data.labels)
        is_foreign = fold_data.clips.only(train).is_foreign
        self._own, self._foreign = np.flatnonzero(~is_foreign), np.flatnonzero(is_foreign)
        self.n_clips = len(self._own) + round(SHARE_OF_FOREIGN * len(self._foreign))
        certain = np.eye(self.n_outputs, dtype=np.float32)[fold_data.classes(train)]
        self._targets = masked_targets(certain, fold_data.available[train], LABEL_SMOOTHING)
        self._hints = np.empty((len(self._versions), len(train), 0), np.float32)
        if isinstance(fold_data.spec, EncodedSpec):
            heard = fold_data.spec.embeddings
            self._hints = hints_of([np.asarray(rows[train, heard], np.float32) for rows in self._versions])
        self._frames = slice(self.spec.statistics, self.spec.n_voice)
        whole = self._whole(fold_data.features)
        self.of_whole = Scale.of(whole)
        # In half precision: 42 MB a version of 5,400 recordings.
        self._wholes = [self.of_whole(self._whole(rows)).astype(np.float16) for rows in self._versions]
        self.directions = PrincipalAxes.of(np.concatenate(self._wholes), np.random.default_rng(0))
        self.of_frames = _scale_of_frames(self._as_frames(fold_data.features[train, self._frames]))

    @property
    def width(self) -> int:
        """How many numbers the whole has."""
        return len(self.of_whole.mean)

    @property
    def n_hints(self) -> int:
        """How many hints there are."""
        return int(self._hints.shape[-1])

    def order(self, rng: np.random.Generator, *members: int) -> BatchOrder:
        """An order of every clip once, of foreign clips only a share.

        Args:
            rng: gives the random numbers.
            *members: how many orders are drawn, if more than one.

        Returns:
            Shape (n_clips, *members).
        """
        size = self.n_clips, *members
        some = rng.permutation(self._foreign)[: self.n_clips - len(self._own)]
        column = np.concatenate([self._own, some]).reshape(-1, *[1] * len(members))
        places = rng.permuted(np.broadcast_to(column, size), axis=0)
        versions = np.zeros(size, np.int64)
        if (draws := len(self._versions) - 1) > 0:
            is_drawn = rng.random(size) < SHARE_OF_COPIES
            versions[is_drawn] = rng.integers(1, 1 + draws, int(is_drawn.sum()))
        return BatchOrder(places, versions)

    def targets(self, shown: BatchOrder) -> Floats:
        """Targets as `masked_targets` makes them, shape (*shape of the order, 2 * n_outputs)."""
        return self._targets[shown.places]

    def targets_and_hints(self, shown: BatchOrder) -> Floats:
        """Targets as `hinted_crossentropy` takes them, (*shape of the order, 2 * n_outputs + n_hints)."""
        hints = self._hints[shown.versions, shown.places]
        return np.concatenate([self.targets(shown), hints], axis=-1)

    def whole(self, shown: BatchOrder) -> Floats:
        """Statistics and embeddings of the clips, shape (*shape of the order, width)."""
        rows = np.empty((*shown.places.shape, self.width), np.float32)
        for version, chosen in _by_version(shown):
            rows[chosen] = self._wholes[version][shown.places[chosen]]
        return rows

    def frames(self, shown: BatchOrder) -> Floats:
        """Frames of an order of shape (n,), zeros where there is none: (n, spec.frames, spec.descriptors)."""
        rows = np.empty((len(shown.places), self.spec.frames * self.spec.descriptors), np.float32)
        for version, chosen in _by_version(shown):
            rows[chosen] = self._versions[version][self._train[shown.places[chosen]], self._frames]
        frames = self._as_frames(rows)
        return self.of_frames(frames) * frames[..., -1:]

    def _whole(self, rows: NDArray[np.floating[Any]]) -> Floats:
        """The whole of the clips that train, shape (n, width)."""
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
    """The scale of all frames that there are; the flag stays as it is."""
    there = frames[frames[..., -1] > 0]
    scale = Scale.of(there)
    scale.mean[-1], scale.std[-1] = 0, 1
    return scale


def shares(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """The share of itself that each clip keeps in a mixture, between 0 and 1."""
    return np.asarray(rng.beta(MIXUP, MIXUP, shape), np.float32)


def mixed(values: Floats, targets: Floats, shares: Floats, others: Indices) -> tuple[Floats, Floats]:
    """Mix each clip with a share of another one, and its target likewise (mixup).

    Args:
        values: shape (n, …).
        targets: shape (n, …).
        shares: of the clip itself, shape (n, …).
        others: the index of the other clip, shape (n,).

    Source: Zhang et al. 2018, arXiv:1710.09412.
    """
    wide = shares.reshape(*shares.shape, *[1] * (values.ndim - shares.ndim))
    narrow = shares.reshape(*shares.shape, *[1] * (targets.ndim - shares.ndim))
    return (
        wide * values + (1 - wide) * values[others],
        narrow * targets + (1 - narrow) * targets[others],
    )
