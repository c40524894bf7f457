"""A lease is renewed by the time that has passed, whatever the number of steps."""

import time

import pytest

from workers import ending
from workers.ending import Ending
from workers.renewal import Renewal


def test_a_lease_is_renewed_each_time_a_tenth_of_it_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[-1])
    renewals: list[float] = []
    renewed = Renewal(lambda: renewals.append(clock[-1]), lease_s=60.0)
    for now in (100.1, 105.9, 106.1, 107.0, 112.0, 112.2):
        clock.append(now)
        renewed()
    assert renewals == [106.1, 112.2]


def test_a_worker_that_is_to_end_is_told_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "is_announced", lambda: True)
    renewed = Renewal(lambda: None, lease_s=60.0)
    with pytest.raises(Ending):
        renewed()
