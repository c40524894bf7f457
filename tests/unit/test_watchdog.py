"""When the watchdog counts a worker as idle, and when it has no reason to."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from workers.watchdog import Idleness


@dataclass
class Worker:
    """A worker as the watchdog sees it, and a clock that the test moves."""

    waits: int = 1
    works: bool = False
    tasks: int = 3
    time: float = 100.0
    broker_away: bool = False

    def waiting(self) -> int:
        if self.broker_away:
            raise ConnectionError
        return self.waits


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def idleness(worker: Worker) -> Idleness:
    found = Idleness(worker.waiting, lambda: worker.works, lambda: worker.tasks, lambda: worker.time)
    assert found.seconds() == 0
    assert found.seconds() == 0
    return found


def test_who_takes_nothing_while_something_waits_is_idle(worker: Worker, idleness: Idleness) -> None:
    worker.time += 60
    assert idleness.seconds() == 60


@pytest.mark.parametrize(
    "change", [{"waits": 0}, {"works": True}, {"tasks": 4}, {"broker_away": True}], ids=str
)
def test_an_empty_queue_a_busy_child_a_task_and_a_broker_that_is_away_begin_the_count_anew(
    worker: Worker, idleness: Idleness, change: dict[str, object]
) -> None:
    before = vars(worker).copy()
    worker.time += 60
    for name, value in change.items():
        setattr(worker, name, value)
    assert idleness.seconds() == 0
    if "tasks" not in change:
        for name in change:
            setattr(worker, name, before[name])
    assert idleness.seconds() == 0
    worker.time += 5
    assert idleness.seconds() == 5
