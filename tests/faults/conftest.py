"""What the tests of the fault ring share: the seed of all that is random, and a stack that stands."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from shared.stack.control import local_client, waited_for
from shared.stack.state import StateFolder
from tests.faults.planting import Planted
from tests.stacks import Stack
from tests.waiting import wait_for

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


@pytest.fixture
def standing(own_stack: Stack) -> Stack:
    """The stack that tests may kill, with two classifying workers, ready, whatever the test before did."""
    if not StateFolder(own_stack.state).held():
        own_stack.up("--workers", "2")
    is_ready(own_stack)
    return own_stack


def is_ready(stack: Stack, limit_s: float = 240) -> None:
    """Wait until every part answers and every queue is consumed.

    After a kill of all parts that took 117 s on two cores that twenty busy processes shared.
    """
    with local_client() as client:
        wait_for(lambda: not waited_for(stack.record, client), limit_s, "the stack did not come back")


@pytest.fixture
def planted(own_stack: Stack) -> Planted:
    """Faults in the processes of that stack."""
    return Planted(Path(own_stack.env["VOXMOOD_PLANTED"]))
