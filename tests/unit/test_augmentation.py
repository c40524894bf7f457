"""Augmentation raises small classes to the median, each copy altered as the seed altered it."""

from __future__ import annotations

import numpy as np

from shared.audio.augmentation import (
    add_noise,
    augment_dataset,
    mask_frequency,
    mask_time,
    scale_amplitude,
)

ONES = np.ones((32, 94, 2), np.float32)


def test_each_class_reaches_the_median_and_what_was_there_stays() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2, 3, 4], [3, 10, 12, 20, 7])
    examples = rng.normal(size=(len(classes), 32, 94, 2)).astype(np.float32)
    before = examples.copy()
    more, more_classes = augment_dataset(examples, classes, rng)
    assert np.bincount(more_classes).tolist() == [10, 10, 12, 20, 10]
    assert np.array_equal(more[: len(before)], before)
    assert np.array_equal(more_classes[: len(classes)], classes)
    assert more.dtype == np.float32
    for example, label in zip(more[len(before) :], more_classes[len(before) :], strict=True):
        distances = np.abs(before - example).mean(axis=(1, 2, 3))
        assert distances.min() > 0  # altered
        assert classes[distances.argmin()] == label  # and still most like one of its class


def test_classes_of_one_size_are_left_alone() -> None:
    classes = np.array([0, 0, 1, 1])
    examples = np.stack([ONES] * 4)
    more, more_classes = augment_dataset(examples, classes, np.random.default_rng(0))
    assert np.array_equal(more, examples)
    assert np.array_equal(more_classes, classes)


def test_the_same_seed_draws_the_same_examples() -> None:
    classes = np.repeat([0, 1], [2, 9])
    examples = np.random.default_rng(1).normal(size=(11, 32, 94, 2)).astype(np.float32)
    rngs = (np.random.default_rng(seed) for seed in (5, 5, 6))
    one, two, other = (augment_dataset(examples, classes, rng)[0] for rng in rngs)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_masks_are_as_wide_as_the_recipe_says() -> None:
    rng = np.random.default_rng(0)
    frames = {int((mask_time(ONES, rng) == 0).all(axis=(0, 2)).sum()) for _ in range(300)}
    rows = {int((mask_frequency(ONES, rng) == 0).all(axis=(1, 2)).sum()) for _ in range(300)}
    assert frames == set(range(5, 16))
    assert rows == set(range(3, 9))
    assert (ONES == 1).all()


def test_noise_and_amplitude_are_as_strong_as_the_recipe_says() -> None:
    rng = np.random.default_rng(0)
    assert abs((add_noise(ONES, rng) - ONES).std() - 0.02) < 1e-3
    factors = [float(scale_amplitude(ONES, rng).mean()) for _ in range(300)]
    assert 0.8 <= min(factors) < 0.82
    assert 1.18 < max(factors) <= 1.2
