"""What the API is wired to, and how its routes reach it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.consumption import Consumption
from shared.database.sessions import Database
from shared.doorbell import Doorbell, celery_app
from shared.settings import Settings
from shared.storage import Storage


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings and connections of the API process."""

    settings: Settings
    database: Database
    storage: Storage
    doorbell: Doorbell
    consumption: Consumption
    upload_places: asyncio.Semaphore


def connect(settings: Settings) -> Parts:
    """Make the connections; none is opened before its first use."""
    database = Database(settings.database_url)
    doorbell = Doorbell(celery_app(settings))
    return Parts(
        settings,
        database,
        Storage(settings),
        doorbell,
        Consumption(database, doorbell, settings.lease_s),
        asyncio.Semaphore(settings.api_concurrent_uploads),
    )


def _parts(request: Request) -> Parts:
    return cast("Parts", request.app.state.parts)


Wired = Annotated[Parts, Depends(_parts)]
