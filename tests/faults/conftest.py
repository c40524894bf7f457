"""What the tests of the fault ring share: the seed of all that is random in them."""

from __future__ import annotations

import os
import random

import pytest

SEED = "VOXMOOD_TEST_SEED"


@pytest.fixture(scope="session")
def seed() -> int:
    """That of VOXMOOD_TEST_SEED, to repeat a run; else a new one."""
    named = os.environ.get(SEED)
    return int(named) if named else random.SystemRandom().randrange(2**32)


@pytest.fixture
def chance(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """The test's own randomness: the same for a seed, whichever tests run before it. Printed."""
    print(f"{SEED}={seed}")
    return random.Random(f"{seed} {request.node.name}")
