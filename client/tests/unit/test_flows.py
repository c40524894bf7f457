"""Waits and turns, without a server: what a flow asks for, and what it makes of each answer."""

from __future__ import annotations

import pytest

from builders import job
from voxmood import flows
from voxmood.documents import JobDocument
from voxmood.errors import RequestRefused, ServerUnreachable, WaitTimedOut
from voxmood.flows import Pause, Turn
from voxmood.states import JobState

AWAY = ServerUnreachable(url="http://127.0.0.1:9")
BUSY = RequestRefused(detail="The server answered 503.", status=503)
GONE = RequestRefused(detail="There is no job 1.", code="unknown_job", status=404)


def waited(*answers: JobDocument | Exception, patience_s: float = 60, timeout_s: float | None = None):
    """What comes of a wait that is given these answers, and what it told meanwhile."""
    seen: list[JobDocument] = []
    flow = flows.wait(1, timeout_s, 0.5, patience_s, seen.append)
    step = next(flow)
    try:
        for answer in answers:
            step = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
            assert isinstance(step, Pause)
            step = flow.send(None)
            assert step.path == "/v1/jobs/1"
    except StopIteration as end:
        return end.value, seen
    raise AssertionError("it waits on")


def test_a_wait_ends_with_the_job_and_tells_each_look() -> None:
    running, done = job(state="running"), job(state="done")
    assert waited(running, running, done) == (done, [running, running, done])
    assert waited(job(state="deleting"))[0].state == JobState.DELETING


def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    done = job(state="done")
    assert waited(AWAY, BUSY, job(), AWAY, done)[0] == done
    with pytest.raises(ServerUnreachable):
        waited(AWAY, patience_s=0)
    with pytest.raises(RequestRefused, match="There is no job"):
        waited(GONE)


def test_a_time_limit_holds_while_the_server_is_away_too() -> None:
    with pytest.raises(WaitTimedOut, match="Job 1 is still running after 0 s, and goes on"):
        waited(job(), timeout_s=0)
    with pytest.raises(WaitTimedOut):
        waited(AWAY, timeout_s=0)


def test_an_export_waits_for_its_turn_and_says_so_once() -> None:
    notes: list[str] = []
    turn = Turn(notes.append)
    full = RequestRefused(detail="Too many exports.", code="too_many_exports", status=429)
    assert (turn.pause_s(full), turn.pause_s(full)) == (flows.AGAIN_S, flows.AGAIN_S)
    assert notes == ["Too many exports. Waiting for a turn."]
    with pytest.raises(RequestRefused, match="There is no job"):
        turn.pause_s(GONE)
    turn.began = -flows.BUSY_S
    with pytest.raises(RequestRefused, match="Too many exports"):
        turn.pause_s(full)
