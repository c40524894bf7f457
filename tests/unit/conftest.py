"""Lessons for networks, and networks that are quickly built."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from shared.models.data.folds import Clips
from shared.models.training import distance, tcn
from shared.models.training.fold_data import FoldData
from tests.unit.lessons import CLIPS, FOREIGN, lesson_of


@pytest.fixture
def few_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that something of six numbers lies outside of them."""
    monkeypatch.setattr(distance, "DIRECTIONS", 2)


@pytest.fixture
def fold_data() -> FoldData:
    """Of three speakers."""
    numbers = np.arange(CLIPS)
    return lesson_of(
        Clips(
            np.array(["angry", "calm", "sad", "calm"] * (CLIPS // 4)),
            (numbers % 3).astype(np.str_),
            numbers.astype(np.str_),
            np.full(CLIPS, "own"),
        )
    )


@pytest.fixture
def of_two_corpora() -> FoldData:
    """Behind the same clips those of another corpus, which knows nobody sad."""
    numbers = np.arange(CLIPS + FOREIGN)
    is_foreign = numbers >= CLIPS
    return lesson_of(
        Clips(
            np.where(
                is_foreign & (numbers % 4 == 2),
                "angry",
                np.array(["angry", "calm", "sad", "calm"])[numbers % 4],
            ),
            np.char.add(np.where(is_foreign, "other/", "own/"), (numbers % 5).astype(np.str_)),
            numbers.astype(np.str_),
            np.where(is_foreign, "other", "own"),
        )
    )


@pytest.fixture(scope="module")
def shallow_networks() -> Iterator[None]:
    """One block of four in v8's convolutional network: most of a short training is its building."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tcn, "BLOCKS", 1)
        tcn._compiled.cache_clear()
        yield
    tcn._compiled.cache_clear()
