"""What the API is wired to, and how its routes reach it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

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
    upload_places: asyncio.Semaphore


def connect(settings: Settings) -> Parts:
    """Make the connections; none is opened before its first use."""
    return Parts(
        settings,
        Database(settings.database_url),
        Storage(settings),
        Doorbell(celery_app(settings)),
        asyncio.Semaphore(settings.api_concurrent_uploads),
    )


def _parts(request: Request) -> Parts:
    return cast("Parts", request.app.state.parts)


Wired = Annotated[Parts, Depends(_parts)]
