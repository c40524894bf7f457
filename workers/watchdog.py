"""What ends a worker that is alive but takes nothing while its queues wait.

Celery's known open fault: after a reconnect to the broker a worker may answer pings and consume nothing
(celery #10205, #10302). Nothing tells it from outside, so the main process looks at itself: bells wait in
its queues, none of its children works, and for `limit_s` seconds no task was accepted. Then it says so
and ends; the supervisor, compose or Kubernetes starts it anew. A child that works, however long, and a
broker that cannot be asked are no reason.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable

from celery.worker import state

from shared.jobs.doorbell import Doorbell

log = logging.getLogger(__name__)
# A worker that has accepted nothing yet may still be loading TensorFlow in all its children.
FIRST_TASK_S = 120.0
GRACE_S = 10.0


class Idleness:
    """For how long a worker has accepted nothing although it could and something waited.

    waiting(): messages in its queues; raises when the broker cannot be asked. busy(): whether a child
    works. accepted(): tasks so far. now(): seconds, never going back.
    """

    def __init__(
        self,
        waiting: Callable[[], int],
        busy: Callable[[], bool],
        accepted: Callable[[], int],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = waiting
        self._busy = busy
        self._accepted = accepted
        self._now = now
        self._since: float | None = None
        self._last = -1

    def seconds(self) -> float:
        """0 while all is well; ask it regularly: it counts from the first call that saw something wait."""
        accepted = self._accepted()
        if self._busy() or accepted != self._last or not self._something_waits():
            self._since, self._last = None, accepted
            return 0.0
        if self._since is None:
            self._since = self._now()
        return self._now() - self._since

    def _something_waits(self) -> bool:
        try:
            return self._waiting() > 0
        except Exception:  # of redis and kombu, and of the socket below
            return False


def watch(doorbell: Doorbell, queues: Iterable[str], limit_s: float) -> threading.Thread:
    """Start the watch over this worker's own queues; call it in the main process, once it consumes."""
    queues = tuple(queues)
    idleness = Idleness(
        waiting=lambda: sum(doorbell.waiting(queue) for queue in queues),
        busy=lambda: bool(state.active_requests),
        accepted=lambda: state.all_total_count[0],
    )

    def run() -> None:
        while idleness.seconds() < limit_s + (0.0 if state.all_total_count[0] else FIRST_TASK_S):
            time.sleep(min(5.0, limit_s / 5))
        log.critical(
            "nothing was taken from %s for %.0f s although something waits there and no child is busy; "
            "this worker ends, to be started anew",
            ", ".join(queues),
            limit_s,
        )
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os.kill(os.getpid(), signal.SIGKILL)  # its children die with it

    thread = threading.Thread(target=run, name="watchdog", daemon=True)
    thread.start()
    return thread
