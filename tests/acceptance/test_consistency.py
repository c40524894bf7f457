"""Promise 2: a result does not depend on batch size, worker count, shard size, order or retries.

Nor on which of two stacks that stand side by side gives it.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.acceptance.jobs import Api
from tests.recordings import zip_files
from tests.stacks import Stack

CLIPS = 200  # in 29 shards of seven: what a cut changes, it changes at its edges


@pytest.fixture(scope="module")
def clips(ravdess: list[Path]) -> list[Path]:
    """Real recordings of all speakers."""
    return random.Random(2).sample(ravdess, CLIPS)


def probabilities(api: Api, clips: list[Path]) -> dict[str, dict[str, float]]:
    """What a stack says of each clip."""
    document = api.run({"clips.zip": zip_files(clips)}, limit_s=240)
    assert document["state"] == "done"
    rows = api.rows(document["id"])
    assert len(rows) == CLIPS
    return {row["path"]: {key: row[key] for key in row if key.startswith("p_")} for row in rows}


@pytest.fixture(scope="module")
def reference(api: Api, clips: list[Path]) -> dict[str, dict[str, float]]:
    """Two workers, shards of 256, batches of 32, in sorted order."""
    return probabilities(api, sorted(clips))


@pytest.mark.parametrize(
    ("workers", "shard_clips", "batch_clips", "order"),
    [
        pytest.param(1, 7, 5, 1, id="one worker, shards of 7, batches of 5"),
        pytest.param(2, 1, 32, 2, id="two workers, shards of 1", marks=pytest.mark.long),
    ],
)
def test_probabilities_are_the_same_however_the_work_is_cut(
    reference, clips, stack: Stack, new_stack, workers: int, shard_clips: int, batch_clips: int, order: int
) -> None:
    shuffled = random.Random(order).sample(clips, CLIPS)
    settings = {"VOXMOOD_SHARD_CLIPS": str(shard_clips), "VOXMOOD_BATCH_CLIPS": str(batch_clips)}
    with new_stack("--workers", str(workers), **settings) as other:
        assert not set(stack.record.ports.values()) & set(other.record.ports.values())
        found = probabilities(Api(other.api_url), shuffled)
    assert found.keys() == reference.keys()
    heard = [path for path in reference if None not in reference[path].values()]
    assert len(heard) > CLIPS * 0.98
    labels = sorted(reference[heard[0]])
    ours, theirs = (
        np.array([[side[path][label] for label in labels] for path in heard]) for side in (found, reference)
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
