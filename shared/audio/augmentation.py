"""More examples for the small classes: the seed's four alterations of a feature array.

Each takes features shaped (rows, frames, channels), z-scored, and gives a new array. A mask sets to 0,
the mean (SpecAugment: Park et al. 2019, doi 10.21437/Interspeech.2019-2680).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Alteration = Callable[[Floats, np.random.Generator], Floats]


def add_noise(example: Floats, rng: np.random.Generator) -> Floats:
    """Gaussian noise of standard deviation 0.02."""
    return example + rng.normal(0, 0.02, example.shape).astype(np.float32)


def mask_time(example: Floats, rng: np.random.Generator) -> Floats:
    """5 to 15 neighbouring frames set to 0."""
    return _masked(example, 1, int(rng.integers(5, 16)), rng)


def mask_frequency(example: Floats, rng: np.random.Generator) -> Floats:
    """3 to 8 neighbouring rows set to 0."""
    return _masked(example, 0, int(rng.integers(3, 9)), rng)


def scale_amplitude(example: Floats, rng: np.random.Generator) -> Floats:
    """All values times one factor between 0.8 and 1.2."""
    return example * np.float32(rng.uniform(0.8, 1.2))


ALTERATIONS: tuple[Alteration, ...] = (add_noise, mask_time, mask_frequency, scale_amplitude)


def _masked(example: Floats, axis: int, width: int, rng: np.random.Generator) -> Floats:
    start = int(rng.integers(0, example.shape[axis] - width + 1))
    masked = example.copy()
    masked[(slice(None),) * axis + (slice(start, start + width),)] = 0
    return masked


def augment_dataset(
    examples: Floats, classes: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Raise each class below the median count to it; only ever the training side.

    examples: (n, rows, frames, channels); classes: (n,), an index each. Returns both with the new
    examples at the end: drawn from the class with replacement, one alteration each, drawn likewise.
    """
    counts = np.bincount(classes)
    present = np.flatnonzero(counts)
    median = int(np.median(counts[present]))
    drawn = [
        index
        for label in present
        for index in rng.choice(np.flatnonzero(classes == label), max(0, median - counts[label]))
    ]
    if not drawn:
        return examples, classes
    altered = [ALTERATIONS[rng.integers(len(ALTERATIONS))](examples[index], rng) for index in drawn]
    return np.concatenate([examples, altered]), np.concatenate([classes, classes[drawn]])
