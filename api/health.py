"""Health: alive, and ready — which means that workers really take what is queued."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import exists, select

from api.parts import Wired
from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import consumption, unit, upload
from shared.doorbell import CLASSIFY, QUEUES, UNPACK
from shared.errors import DatabaseUnavailable

router = APIRouter(prefix="/health", tags=["health"])
# The sweep probes a queue that was silent for 15 s; four missed signs mean that nobody listens.
BELIEVED_S = 60.0


class Readiness(BaseModel):
    """What is there, and which queues are consumed."""

    ready: bool
    database: bool = Field(description="it answers, and its schema is the newest")
    queue: bool
    store: bool
    consuming: dict[str, bool] = Field(description="a worker took something from it in the last minute")


@router.get("/live")
def live() -> dict[str, bool]:
    """This process answers."""
    return {"live": True}


@router.get("/ready", responses={503: {"model": Readiness}})
def ready(parts: Wired, response: Response) -> Readiness:
    """Whether a job sent now would be worked on; 503 if not."""
    try:
        database = upgrade.current(parts.database) == upgrade.head()
    except DatabaseUnavailable:
        database = False
    consuming = _consuming(parts.database) if database else dict.fromkeys(QUEUES, False)
    found = Readiness(
        ready=False,
        database=database,
        queue=parts.doorbell.answers(),
        store=parts.storage.answers(),
        consuming=consuming,
    )
    found.ready = found.database and found.queue and found.store and all(consuming.values())
    response.status_code = 200 if found.ready else 503
    return found


def _consuming(database: Database) -> dict[str, bool]:
    """By a sign on the queue itself, or by a lease that holds: it was renewed a moment ago."""
    now = database.clock
    with database.read() as connection:
        recent = select(consumption.c.queue).where(consumption.c.seen_at > now - BELIEVED_S)
        heard = set(connection.execute(recent).scalars())
        for task, table in ((UNPACK, upload), (CLASSIFY, unit)):
            held = exists().where(table.c.state == "leased", table.c.lease_until > now)
            if connection.execute(select(held)).scalar_one():
                heard.add(task)
    return {queue: queue in heard for queue in QUEUES}
