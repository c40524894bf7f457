"""Sweep: the one recovery path. It rings for what waits unheard, and asks silent queues for a sign."""

from __future__ import annotations

from sqlalchemy import select

from shared.database.tables import consumption
from shared.jobs import leases
from shared.jobs.doorbell import QUEUES, WORK_QUEUES
from workers.services import Services

# A queue that gave no sign for this long is probed; /health/ready believes a sign for four times as long.
PROBE_AFTER_S = 15.0


def sweep(services: Services) -> str:
    """One tick; returns a sentence for the log."""
    empty = frozenset(queue for queue in WORK_QUEUES if services.doorbell.waiting(queue) == 0)
    bells = leases.sweep(services.database, services.settings.ring_again_s, empty)
    services.doorbell.ring(bells)
    with services.database.read() as connection:
        recent = consumption.c.seen_at > services.database.clock - PROBE_AFTER_S
        heard = set(connection.execute(select(consumption.c.queue).where(recent)).scalars())
    silent = [queue for queue in QUEUES if queue not in heard]
    services.doorbell.probe(silent, expires_s=PROBE_AFTER_S)
    return f"rang {len(bells)}, probed {len(silent)}"
