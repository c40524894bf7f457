"""Whether workers really take what is queued: not that they are alive, but that they consumed."""

from __future__ import annotations

import time

from shared.database import work
from shared.database.consumption import consumed_since
from shared.database.sessions import Database
from shared.database.tables import unit, upload
from shared.jobs.doorbell import CLASSIFY, QUEUES, UNPACK, Doorbell

# The sweep probes a queue that was silent for 15 s; four missed signs mean that nobody listens.
BELIEVED_S = 60.0
PROBE_EVERY_S = 2.0


class Consumption:
    """Looks for signs of consumption, and asks for them where there are none.

    A sign is a probe that a worker took from the queue, or a lease that holds. Those from before this
    process's first look do not count: they may be of workers that ended with the stack before.
    """

    def __init__(self, database: Database, doorbell: Doorbell, lease_s: float) -> None:
        self._database = database
        self._lease_s = lease_s
        self._doorbell = doorbell
        self._since: float | None = None
        self._probed_at = -PROBE_EVERY_S

    def look(self) -> dict[str, bool]:
        """For each queue, whether it is consumed."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            if self._since is None:
                self._since = now
            consumed = consumed_since(connection, max(self._since, now - BELIEVED_S))
            for task, table in ((UNPACK, upload), (CLASSIFY, unit)):
                until = max(now, self._since + self._lease_s)  # so it was taken or renewed since then
                if work.is_leased_since(connection, table, until):
                    consumed.add(task)
        self._ask([queue for queue in QUEUES if queue not in consumed])
        return {queue: queue in consumed for queue in QUEUES}

    def _ask(self, silent: list[str]) -> None:
        if silent and time.monotonic() - self._probed_at >= PROBE_EVERY_S:
            self._probed_at = time.monotonic()
            self._doorbell.probe(silent, expires_s=BELIEVED_S)
