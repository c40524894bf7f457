"""Trying again: for how long, after what, and how the pauses are spread."""

from __future__ import annotations

import pytest

from shared.core import retries
from shared.core.errors.infrastructure import DatabaseUnavailable, StoreFull
from shared.core.retries import again, jittered


def test_the_pauses_spread_over_all_of_a_doubling_range() -> None:
    for tries, most in ((0, 1.0), (3, 8.0), (10, 60.0), (10_000, 60.0)):
        drawn = [jittered(1.0, tries, 60.0) for _ in range(2000)]
        assert 0 <= min(drawn) < 0.1 * most
        assert 0.9 * most < max(drawn) <= most


def test_what_heals_is_tried_until_it_does() -> None:
    failures = iter([DatabaseUnavailable(), DatabaseUnavailable()])

    def work() -> str:
        if (failure := next(failures, None)) is not None:
            raise failure
        return "done"

    assert again(work, (DatabaseUnavailable,), 10.0) == "done"


def test_what_lasts_is_raised_within_the_limit_and_what_is_not_meant_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, now = 0, 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(retries.time, "monotonic", lambda: now)
    monkeypatch.setattr(retries.time, "sleep", sleep)

    def away() -> None:
        nonlocal calls
        calls += 1
        raise DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        again(away, (DatabaseUnavailable,), 1.0)
    assert now <= 1.0
    assert calls > 1
    calls = 0
    with pytest.raises(DatabaseUnavailable):
        again(away, (StoreFull,), 1.0)
    assert calls == 1
