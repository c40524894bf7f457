"""Health: alive, and ready — which means that workers really take what is queued."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.services import Wired
from shared.core.errors.infrastructure import DatabaseUnavailable
from shared.core.settings import is_loopback
from shared.database import upgrade
from shared.jobs.doorbell import QUEUES
from voxmood.documents import Readiness

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
def live() -> dict[str, bool]:
    """This process answers."""
    return {"live": True}


@router.get("/ready", responses={503: {"model": Readiness}})
def ready(services: Wired, request: Request, response: Response) -> Readiness:
    """Whether a job sent now would be worked on; 503 if not."""
    try:
        database = upgrade.current(services.database) == upgrade.head()
    except DatabaseUnavailable:
        database = False
    queue = services.doorbell.answers()
    consuming = services.consumption.look() if database and queue else dict.fromkeys(QUEUES, False)
    found = Readiness(
        ready=False,
        database=database,
        queue=queue,
        store=services.storage.answers(),
        consuming=consuming,
    )
    found.ready = database and queue and bool(found.store) and all(consuming.values())
    response.status_code = 200 if found.ready else 503
    is_near = request.client is not None and is_loopback(request.client.host)
    return found if is_near else Readiness(ready=found.ready)
