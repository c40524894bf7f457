"""The data of training and evaluation: features of labelled recordings and of altered copies of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.decode import decode
from shared.audio.features import fixed_length
from shared.audio.limits import DecodeLimits
from shared.audio.random_conditions import random_copy
from shared.audio.spec import FeatureSpec
from shared.audio.synthesis import COLOURS, speech_like
from shared.core.errors.recordings import AllButSilent, ClipError
from shared.models.data.datasets import Example, Recordings
from shared.models.serving.encoders import feature_maker

Progress = Callable[[str, int, int], None]  # stage, done, total

BATCH_CLIPS = 32
FIRST_DRAW = 20_000  # a training's own random numbers, which no evaluation uses
BABBLE_VOICES, BABBLE_S = 3, 3.0  # synthesised ones of each colour


def copies_of(clip: Floats, sampling_rate: int, path: str, n_copies: int) -> Iterator[Floats]:
    """Copies of a recording, each under conditions drawn at random.

    Each copy has random numbers of its own, by path and number, so it is the same in every training. Babble
    is mixed of synthesised voices: another recording might be of a test speaker.

    Args:
        clip: samples, shape (n,).
        sampling_rate: in Hz.
        path: of the recording.
        n_copies: how many copies are made.

    Yields:
        Samples, shape (n,), or more where silence was added.
    """
    for number in range(n_copies):
        rng = np.random.default_rng([FIRST_DRAW + number, zlib.crc32(path.encode())])
        yield random_copy(clip, sampling_rate, rng, _synthesised_voices(sampling_rate))


@lru_cache(maxsize=1)
def _synthesised_voices(sampling_rate: int) -> tuple[Floats, ...]:
    return tuple(
        speech_like(colour, sampling_rate, BABBLE_S, FIRST_DRAW + seed)
        for colour in COLOURS
        for seed in range(BABBLE_VOICES)
    )


@dataclass(frozen=True, slots=True)
class AudioData:
    """Features of labelled recordings.

    Attributes:
        spec: which features.
        features: of the recordings, shape (n, *spec.shape).
        copies: of the copies of these recordings (`copies_of`), shape (n_copies, n, *spec.shape), in half
            precision: at most 0.02 of a standard deviation off, and a few of an encoder's numbers 0.06.
        examples: the recordings.
        left_out: a sentence for each recording that could not be used.
    """

    spec: FeatureSpec
    features: Floats
    copies: NDArray[np.float16]
    examples: tuple[Example, ...]
    left_out: tuple[str, ...]

    def only(self, places: Sequence[int]) -> Self:
        """These recordings in this order; the same object if they are all, since a selection is a copy."""
        if list(places) == list(range(len(self.examples))):
            return self
        return replace(
            self,
            features=self.features[places],
            copies=self.copies[:, places],
            examples=tuple(self.examples[place] for place in places),
        )


def joined_data(parts: Sequence[AudioData]) -> AudioData:
    """The recordings of several parts, one part after another.

    Args:
        parts: with the same features and as many copies.
    """
    if len(parts) == 1:
        return parts[0]
    return AudioData(
        parts[0].spec,
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.copies for part in parts], axis=1),
        tuple(example for part in parts for example in part.examples),
        tuple(sentence for part in parts for sentence in part.left_out),
    )


def load_audio_data(
    recordings: Recordings,
    examples: Sequence[Example],
    spec: FeatureSpec,
    limits: DecodeLimits,
    report: Progress = lambda _stage, _done, _total: None,
    n_copies: int = 0,
) -> AudioData:
    """Compute the features of recordings and of their copies, of the first window of each.

    Recordings that cannot be read, or are too quiet for a voice, are left out.

    Args:
        recordings: where they are read.
        examples: which of them.
        spec: which features.
        limits: of decoding.
        report: called as report("features", done, total).
        n_copies: how many copies of each recording are made.
    """
    features = feature_maker(spec)
    # Allocated at once, since joining blocks would take twice the memory: 90 kB a recording and speed for v7.
    own = np.empty((len(examples), *spec.shape), np.float32)
    copies = np.empty((n_copies, len(examples), *spec.shape), np.float16)
    kept: list[Example] = []
    left_out: list[str] = []
    for start in range(0, len(examples), BATCH_CLIPS):
        batch = examples[start : start + BATCH_CLIPS]
        clips: list[tuple[str, Floats]] = []
        first = len(kept)
        for example in batch:
            try:
                clips.append((example.path, _samples(recordings, example, spec, limits)))
            except ClipError as error:
                left_out.append(str(error))
            else:
                kept.append(example)
        if clips:
            places = slice(first, len(kept))
            own[places] = features(np.stack([fixed_length(clip, spec) for _, clip in clips]))
            of_each = (copies_of(clip, spec.sampling_rate, path, n_copies) for path, clip in clips)
            for copy, copied in zip(copies, zip(*of_each, strict=True), strict=True):
                copy[places] = features(np.stack([fixed_length(clip, spec) for clip in copied]))
        report("features", start + len(batch), len(examples))
    return AudioData(spec, own[: len(kept)], copies[:, : len(kept)], tuple(kept), tuple(left_out))


def _samples(recordings: Recordings, example: Example, spec: FeatureSpec, limits: DecodeLimits) -> Floats:
    with recordings.open(example) as file:
        recording = decode(
            file, example.path, sampling_rate=spec.sampling_rate, seconds=spec.seconds, limits=limits
        )
    if recording.is_silent:
        raise AllButSilent(path=example.path, peak=recording.peak)
    return recording.samples
