"""Sweep: the one recovery path. It rings for what waits unheard, and asks silent queues for a sign."""

from __future__ import annotations

from shared.database.consumption import consumed_since
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
        consumed = consumed_since(connection, services.database.now(connection) - PROBE_AFTER_S)
    silent = [queue for queue in QUEUES if queue not in consumed]
    services.doorbell.probe(silent, expires_s=PROBE_AFTER_S)
    return f"rang {len(bells)}, probed {len(silent)}"
