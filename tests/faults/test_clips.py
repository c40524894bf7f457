"""Clips that harm whoever decodes them: their own outcome says so, and no other clip's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.planting import environment
from tests.faults.work import clips, sent
from tests.stacks import Stack, running_stack
from tests.waiting import ANSWERED


def test_a_clip_that_crashes_its_decoder_fails_alone(standing: Stack) -> None:
    """Given up at the fourth time."""
    ends_alone(standing, "crash")


@pytest.mark.long
def test_a_clip_that_never_ends_fails_alone(tmp_path: Path) -> None:
    """Celery's time limit ends the child, and is as good as a crash."""
    settings = {"VOXMOOD_LEASE_S": "3", "VOXMOOD_SWEEP_EVERY_S": "1", "VOXMOOD_CLASSIFY_TIME_LIMIT_S": "10"}
    planted = environment(tmp_path / "planted")
    with running_stack(tmp_path / "state", "--workers", "2", **settings, **planted) as stack:
        ends_alone(stack, "endless")


def ends_alone(stack: Stack, harm: str) -> None:
    """The clip's outcome tells it, its neighbours have theirs, and the loss of a child is on record."""
    members = clips(20)
    work = sent(stack, members | {"005.wav": members["005.wav"] + f"planted: {harm}".encode()})
    work.start()
    rows = {row["path"]: row for row in work.is_whole(300)}
    crashes = stack.query("SELECT max(crashes) FROM unit WHERE job_id = :job", job=work.job)
    assert crashes[0][0] >= 1, "the loss of a child was not recorded"
    poison = rows.pop("005.wav")
    assert (poison["outcome"], poison["error_code"]) == ("failed", "crashes_decoder")
    assert {row["outcome"] for row in rows.values()} <= ANSWERED


def test_a_clip_that_eats_memory_fails_alone(standing: Stack) -> None:
    """It asks for more than a task may have; no child is lost to it."""
    members = clips(20)
    work = sent(standing, members | {"005.wav": members["005.wav"] + b"planted: memory"})
    work.start()
    rows = {row["path"]: row for row in work.is_whole()}
    greedy = rows.pop("005.wav")
    assert (greedy["outcome"], greedy["error_code"]) == ("failed", "takes_too_much_memory")
    assert {row["outcome"] for row in rows.values()} <= ANSWERED
