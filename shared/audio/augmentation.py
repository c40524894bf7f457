"""Additional examples for small classes: the four alterations of the baseline project.

Each takes z-scored features of shape (rows, frames, channels) and returns a new array. A mask sets values to
0, which is the mean.

Source: SpecAugment, Park et al. 2019, doi 10.21437/Interspeech.2019-2680.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.audio.arrays import Floats

Alteration = Callable[[Floats, np.random.Generator], Floats]


def add_noise(example: Floats, rng: np.random.Generator) -> Floats:
    """Add Gaussian noise of standard deviation 0.02."""
    return example + rng.normal(0, 0.02, example.shape).astype(np.float32)


def mask_time(example: Floats, rng: np.random.Generator) -> Floats:
    """Set 5 to 15 neighbouring frames to 0."""
    return _masked(example, 1, int(rng.integers(5, 16)), rng)


def mask_frequency(example: Floats, rng: np.random.Generator) -> Floats:
    """Set 3 to 8 neighbouring rows to 0."""
    return _masked(example, 0, int(rng.integers(3, 9)), rng)


def scale_amplitude(example: Floats, rng: np.random.Generator) -> Floats:
    """Multiply all values by one factor between 0.8 and 1.2."""
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
    """Raise each class that is below the median count to that count; for training data only.

    Args:
        examples: features, shape (n, rows, frames, channels).
        classes: the class index of each example, shape (n,).
        rng: draws examples and alterations.

    Returns:
        Both arrays with the new examples at the end. Each is drawn from its class with replacement and
        altered once, in a way that is drawn likewise.
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
