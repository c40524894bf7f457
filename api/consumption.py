"""Whether workers really take what is queued: not that they are alive, but that they consumed."""

from __future__ import annotations

import time

from sqlalchemy import exists, select

from shared.core.states import WorkState
from shared.database import queries
from shared.database.sessions import Database
from shared.database.tables import consumption, unit, upload
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
            now = queries.now(connection, self._database)
            if self._since is None:
                self._since = now
            recent = consumption.c.seen_at >= max(self._since, now - BELIEVED_S)
            heard = set(connection.execute(select(consumption.c.queue).where(recent)).scalars())
            for task, table in ((UNPACK, upload), (CLASSIFY, unit)):
                until = max(now, self._since + self._lease_s)  # so it was taken or renewed since then
                held = exists().where(table.c.state == WorkState.LEASED, table.c.lease_until >= until)
                if connection.execute(select(held)).scalar_one():
                    heard.add(task)
        self._ask([queue for queue in QUEUES if queue not in heard])
        return {queue: queue in heard for queue in QUEUES}

    def _ask(self, silent: list[str]) -> None:
        if silent and time.monotonic() - self._probed_at >= PROBE_EVERY_S:
            self._probed_at = time.monotonic()
            self._doorbell.probe(silent, expires_s=BELIEVED_S)
