"""What the networks of v7 are shown: recordings at several speeds, mixed with each other, beside sounds
without a voice, and synthesised voices that are of no emotion.

The latter are there for what is a voice and no recording of a studio: without them a version heard no voice
in 3 % of 184 recordings made by telephones, and in nearly all synthesised ones (decision 006).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from shared.audio.features import Floats, fixed_length
from shared.audio.spec import VoiceSpec
from shared.audio.synthesis import COLOURS, NON_SPEECH, non_speech, speech_like
from shared.emotion.encoders import feature_maker
from shared.emotion.folds import Indices
from shared.emotion.learning import Lesson

LABEL_SMOOTHING = 0.1
MIXUP = 0.3  # of the beta distribution that shares are drawn from
FARTHEST = 4.0  # z-scores beyond it say no more: a silent band, another microphone
FLATTEST_STD = 1e-6
NEGATIVES = 40  # sounds of each kind without a voice
VOICES = 6  # synthesised ones of each colour
SHORTEST_VOICE_S = 0.3
FIRST_SOUND = 10_000  # of both: a version's own seeds, which no evaluation uses


class Scale(NamedTuple):
    """Where z-scores begin, and their unit, each (width,)."""

    mean: Floats
    std: Floats

    def __call__(self, values: Floats) -> Floats:
        """Values (…, width) standardised, none beyond FARTHEST."""
        return np.asarray(np.clip((values - self.mean) / self.std, -FARTHEST, FARTHEST), np.float32)


@dataclass(frozen=True, slots=True)
class Order:
    """Which clips are shown one after the other, and at which speed; both of the same shape."""

    places: Indices
    speeds: Indices

    def batches(self, clips: int) -> Iterator[Order]:
        """So many at a time."""
        for start in range(0, len(self.places), clips):
            part = slice(start, start + clips)
            yield Order(self.places[part], self.speeds[part])


class Material:
    """The recordings of a lesson that fit, then sounds without a voice, for which the last output stands,
    then synthesised voices, which may be of any emotion.

    spec.statistics and frames are two sides of each clip, standardised by those who fit alone. Of a recording
    of speech a speed is drawn each time; a song keeps its own, since at another it is another song (decision
    006).
    """

    def __init__(self, lesson: Lesson, train: Indices) -> None:
        if not isinstance(lesson.spec, VoiceSpec):
            raise TypeError(lesson.spec)
        self.spec = lesson.spec
        sounds, voices = negatives(self.spec), synthesised(self.spec)
        foreign = np.concatenate([sounds, voices])
        self._train, self._foreign = train, foreign
        self._speeds = lesson.features, *lesson.copies
        self.n_clips = len(train) + len(foreign)
        self.n_outputs = len(lesson.labels) + 1
        self._is_fixed = np.append(lesson.is_song[train], np.ones(len(foreign), bool))
        certain = np.eye(self.n_outputs, dtype=np.float32)
        classes = np.append(lesson.classes(train), np.full(len(sounds), self.n_outputs - 1))
        any_emotion = np.tile((1 - certain[-1]) / len(lesson.labels), (len(voices), 1))
        targets = np.asarray(np.concatenate([certain[classes], any_emotion]), np.float32)
        self.targets: Floats = targets * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / self.n_outputs
        statistics = lesson.features[train, : self.spec.statistics]
        frames = self._as_frames(lesson.features[train, self.spec.statistics : self.spec.n_voice])
        self.of_statistics = Scale(statistics.mean(axis=0), statistics.std(axis=0) + FLATTEST_STD)
        self.of_frames = _scale_of_frames(frames)

    def order(self, rng: np.random.Generator, *members: int) -> Order:
        """Every clip once, for each member another order: (n_clips, *members)."""
        size = self.n_clips, *members
        column = np.arange(self.n_clips).reshape(-1, *[1] * len(members))
        places = rng.permuted(np.broadcast_to(column, size), axis=0)
        speeds = rng.integers(len(self._speeds), size=size)
        speeds[self._is_fixed[places]] = 0
        return Order(places, speeds)

    def statistics(self, shown: Order) -> Floats:
        """(*shape of the order, spec.statistics)"""
        rows = self._rows(shown, slice(self.spec.statistics))
        return self.of_statistics(rows).reshape(*shown.places.shape, -1)

    def frames(self, shown: Order) -> Floats:
        """(n, spec.frames, spec.descriptors), zeros where there is no frame."""
        frames = self._as_frames(self._rows(shown, slice(self.spec.statistics, self.spec.n_voice)))
        return self.of_frames(frames) * frames[..., -1:]

    def _rows(self, shown: Order, part: slice) -> Floats:
        places, speeds = shown.places.ravel(), shown.speeds.ravel()
        width = len(range(*part.indices(self._foreign.shape[1])))
        rows = np.empty((len(places), width), np.float32)
        is_foreign = places >= len(self._train)
        rows[is_foreign] = self._foreign[places[is_foreign] - len(self._train), part]
        for speed, recordings in enumerate(self._speeds):
            chosen = ~is_foreign & (speeds == speed)
            rows[chosen] = recordings[self._train[places[chosen]], part]
        return rows

    def _as_frames(self, rows: Floats) -> Floats:
        return rows.reshape(-1, self.spec.frames, self.spec.descriptors)


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
    arXiv:1710.09412). shares: (n, …), of the clip itself; others: (n,)."""
    wide = shares.reshape(*shares.shape, *[1] * (values.ndim - shares.ndim))
    narrow = shares.reshape(*shares.shape, *[1] * (targets.ndim - shares.ndim))
    return (
        wide * values + (1 - wide) * values[others],
        narrow * targets + (1 - narrow) * targets[others],
    )


@lru_cache(maxsize=1)
def negatives(spec: VoiceSpec) -> Floats:
    """Features of sounds without a voice (n, *shape), the same for every training."""
    sounds = [
        fixed_length(non_speech(kind, spec.sampling_rate, seconds, FIRST_SOUND + seed), spec)
        for kind in NON_SPEECH
        for seed, seconds in enumerate(np.linspace(1.0, spec.seconds, NEGATIVES))
    ]
    return feature_maker(spec)(np.stack(sounds))


@lru_cache(maxsize=1)
def synthesised(spec: VoiceSpec) -> Floats:
    """Features of synthesised voices (n, *shape), the same for every training."""
    voices = [
        fixed_length(speech_like(colour, spec.sampling_rate, seconds, FIRST_SOUND + seed), spec)
        for colour in COLOURS
        for seed, seconds in enumerate(np.geomspace(SHORTEST_VOICE_S, spec.seconds, VOICES))
    ]
    return feature_maker(spec)(np.stack(voices))
