"""The baseline's recipe: who is in which part, what a class weighs, and its network."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from shared.audio.augmentation import augment_dataset
from shared.audio.spec import BASELINE_V6
from shared.core.errors.models import TooFewRecordings
from shared.models.data.audio_data import AudioData
from shared.models.data.datasets import Example
from shared.models.training.baseline import TrainingConfig, build_classifier, compute_class_weights, split

pytestmark = pytest.mark.slow


def test_class_weights_equal_the_worked_example() -> None:
    # Counts 4, 10, 12, 8: the median is 9. 9/4 = 2.25; 4 is below half the median (4.5), so 2.25 ** 1.5
    # = 3.375. 9/10 = 0.9, 9/12 = 0.75, 9/8 = 1.125.
    weights = compute_class_weights(np.repeat([0, 1, 2, 3], [4, 10, 12, 8]))
    assert weights == {0: 3.375, 1: 0.9, 2: 0.75, 3: 1.125}


def test_a_class_of_just_half_the_median_is_not_raised_further() -> None:
    assert compute_class_weights(np.repeat([0, 1, 2], [5, 10, 15]))[0] == 2.0


def examples(counts: dict[str, int]) -> AudioData:
    """Features of which each clip's are its number."""
    named = [(emotion, number) for emotion, count in counts.items() for number in range(count)]
    labelled = [Example(f"{emotion}{number}", emotion, str(number % 3)) for emotion, number in named]
    numbers = np.arange(len(labelled), dtype=np.float32)
    features = np.tile(numbers[:, None, None, None], (1, 32, 94, 2))
    return AudioData(BASELINE_V6, features, features[np.newaxis, :0], tuple(labelled), ())


def test_the_split_is_a_stratified_fifth_without_the_dropped() -> None:
    data = examples({"angry": 20, "calm": 40, "happy": 15, "sad": 8})
    parts = split(data, TrainingConfig("x", drop=["sad"]))
    assert parts.labels == ["angry", "calm", "happy"]
    assert np.bincount(parts.train_classes).tolist() == [16, 32, 12]
    assert np.bincount(parts.test_classes).tolist() == [4, 8, 3]
    sides = [{int(clip[0, 0, 0]) for clip in side} for side in (parts.train, parts.test)]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(range(75))
    for side, classes in ((parts.train, parts.train_classes), (parts.test, parts.test_classes)):
        emotions = [data.examples[int(clip[0, 0, 0])].emotion for clip in side]
        assert emotions == [parts.labels[label] for label in classes]


def test_augmentation_raises_the_training_side_to_the_median_and_leaves_the_test_side() -> None:
    parts = split(examples({"angry": 40, "calm": 20, "happy": 60}), TrainingConfig("x"))
    test_before = parts.test.copy()
    _, classes = augment_dataset(parts.train, parts.train_classes, np.random.default_rng(42))
    assert np.bincount(parts.train_classes).tolist() == [32, 16, 48]
    assert np.bincount(classes).tolist() == [32, 32, 48]
    assert np.array_equal(parts.test, test_before)


@pytest.mark.parametrize(
    ("counts", "drop", "words"),
    [
        ({"angry": 20, "calm": 4}, [], "calm has 4"),
        ({"angry": 20, "sad": 9}, ["sad"], "angry has 20"),
        ({}, [], "No emotion has 0"),
    ],
)
def test_too_few_recordings_are_named(counts: dict[str, int], drop: list[str], words: str) -> None:
    with pytest.raises(TooFewRecordings, match=words):
        split(examples(counts), TrainingConfig("x", drop=drop))


def test_the_seeds_network_has_the_published_size() -> None:
    network = build_classifier((32, 94, 2), 6)
    assert network.output_shape == (None, 6)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert Counter(kinds) == {
        "Conv2D": 3, "BatchNormalization": 3, "MaxPooling2D": 3, "Dropout": 3, "GlobalAveragePooling2D": 1,
        "Dense": 2,
    }  # fmt: skip
    assert [layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"] == [0.3, 0.4, 0.5]
    convolutions = [layer for layer in network.layers if type(layer).__name__ == "Conv2D"]
    assert [(layer.filters, layer.kernel_size) for layer in convolutions] == [
        (32, (3, 3)),
        (64, (3, 3)),
        (128, (3, 3)),
    ]
