"""The unpacker is killed at each step of a shard boundary: what was committed stands."""

from __future__ import annotations

import pytest

from tests.faults.planting import Planted
from tests.faults.work import SHARD_CLIPS, clips, sent
from tests.stacks import Stack

SECOND = 2 * SHARD_CLIPS


@pytest.mark.parametrize(
    ("step", "boundary"),
    [("before_put", SECOND), ("before_commit", SECOND), ("before_bell", SECOND), ("before_commit", "last")],
)
def test_an_unpacker_killed_at_a_shard_boundary_is_followed_by_another(
    standing: Stack, planted: Planted, step: str, boundary: int | str
) -> None:
    work = sent(standing, clips(4 * SHARD_CLIPS))
    planted.arm(f"unpack.{step}.{boundary}")
    work.start()
    planted.struck(f"unpack.{step}.{boundary}")
    work.is_classified()
