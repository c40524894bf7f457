"""Clips that harm whoever decodes them: their own outcome says so, and no other clip's."""

from __future__ import annotations

import pytest

from tests.faults.work import clips, sent
from tests.servers import Stack


@pytest.mark.parametrize("harm", ["crash", pytest.param("endless", marks=pytest.mark.long)])
def test_a_clip_that_ends_its_decoder_fails_alone(standing: Stack, harm: str) -> None:
    """By abort, or by Celery's time limit of 10 s; given up at the fourth time."""
    members = clips(20)
    work = sent(standing, members | {"005.wav": members["005.wav"] + f"planted: {harm}".encode()})
    work.start()
    rows = {row["path"]: row for row in work.is_whole(240)}
    crashes = standing.query("SELECT max(crashes) FROM unit WHERE job_id = :job", job=work.job)
    assert crashes[0][0] >= 1, "the loss of a child was not recorded"
    poison = rows.pop("005.wav")
    assert (poison["outcome"], poison["error_code"]) == ("failed", "crashes_decoder")
    assert {row["outcome"] for row in rows.values()} <= {"classified", "rejected"}


def test_a_clip_that_eats_memory_fails_alone(standing: Stack) -> None:
    """It asks for more than a task may have; no child is lost to it."""
    members = clips(20)
    work = sent(standing, members | {"005.wav": members["005.wav"] + b"planted: memory"})
    work.start()
    rows = {row["path"]: row for row in work.is_whole()}
    greedy = rows.pop("005.wav")
    assert (greedy["outcome"], greedy["error_code"]) == ("failed", "takes_too_much_memory")
    assert {row["outcome"] for row in rows.values()} <= {"classified", "rejected"}
