"""What takes several requests, as generators that send nothing themselves: both clients run the same ones.

A flow yields what is to be done next, a `Request` or a `Pause`, and is sent the answer; an error is thrown
into it. Its return value is what it was for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from voxmood import endpoints
from voxmood.documents import JobDocument
from voxmood.errors import RequestRefused, ServerUnreachable, VoxmoodError, WaitTimedOut
from voxmood.requests import Answer, Request
from voxmood.states import ENDED, JobState

# Pauses between tries after a broken connection: 1 + 2 + 4 + … s, about two minutes in all.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
# Statuses of a server, or of what stands before it, that may answer again in a moment.
PASSING = {429, 502, 503, 504}
POLL_S = 0.5
# How long an export waits for its turn, and how long between two looks: what the server's Retry-After says.
BUSY_S, AGAIN_S = 600.0, 5.0
ENDED_OR_GOING = {*ENDED, JobState.DELETING}


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is to be done for so long."""

    seconds: float


Result = TypeVar("Result")
Flow = Generator["Request[Any] | Pause", Any, Result]


def ask(request: Request[Answer]) -> Flow[Answer]:
    """A single request."""
    return cast("Answer", (yield request))


def passes(error: VoxmoodError) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(error, RequestRefused):
        return error.http_status in PASSING
    return isinstance(error, ServerUnreachable)


def wait(
    job: int,
    timeout_s: float | None,
    poll_s: float,
    patience_s: float,
    on_progress: Callable[[JobDocument], object],
) -> Flow[JobDocument]:
    """Look at a job until it has ended, and tell `on_progress` what was seen each time.

    A server that is away for less than `patience_s` is asked again.

    Raises:
        WaitTimedOut: the job has not ended after `timeout_s`.
    """
    heard_at = began = time.monotonic()
    state = "not heard of"
    while True:
        try:
            document = yield from ask(endpoints.show_job(job))
        except VoxmoodError as error:
            if not passes(error) or time.monotonic() - heard_at >= patience_s:
                raise
        else:
            heard_at, state = time.monotonic(), str(document.state)
            on_progress(document)
            if document.state in ENDED_OR_GOING:
                return document
        if timeout_s is not None and time.monotonic() - began + poll_s > timeout_s:
            raise WaitTimedOut(job=job, state=state, seconds=timeout_s)
        yield Pause(poll_s)


@dataclass(slots=True)
class Turn:
    """Whether an export that the server had no room for is asked for again, and what is said of that."""

    on_note: Callable[[str], object]
    began: float | None = None

    def pause_s(self, error: RequestRefused) -> float:
        """Seconds until the next try; the error itself where there is none."""
        now = time.monotonic()
        if error.reason != "too_many_exports" or (self.began is not None and now - self.began > BUSY_S):
            raise error
        if self.began is None:
            self.began = now
            self.on_note(f"{error} Waiting for a turn.")
        return AGAIN_S
