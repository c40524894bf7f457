"""What the API is wired to, and how its routes reach it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api import quotas
from api.concurrency import ConcurrencyLimit
from api.consumption import Consumption
from api.paced import BlockThreads
from shared.core.errors.requests import TooManyExports, TooManyUploads
from shared.core.settings import Settings
from shared.database.paging import ReadAhead
from shared.database.sessions import Connection, Database
from shared.jobs.doorbell import PURGE, Bell, Doorbell, celery_app
from shared.store.objects import Storage

log = logging.getLogger(__name__)
# Threads for what may be asked by hundreds at once. More of them take turns at one interpreter: with 40 that
# read recordings or made pages, others waited seconds for theirs.
LISTENING_THREADS, EXPORTING_THREADS = 4, 2


@dataclass(frozen=True, slots=True)
class Services:
    """Settings and connections of the API process.

    Attributes:
        uploads: how many may come in at once.
        parts_at_once: of all uploads, on their way into the store.
        exports: how many may go out at once.
        exporting: the threads that make their blocks.
        pages_ahead: the threads that read their next pages.
        listening: the threads that read recordings for those who listen.
    """

    settings: Settings
    database: Database
    storage: Storage
    doorbell: Doorbell
    consumption: Consumption
    uploads: ConcurrencyLimit
    parts_at_once: asyncio.Semaphore
    exports: ConcurrencyLimit
    exporting: BlockThreads
    pages_ahead: ReadAhead
    listening: BlockThreads

    def ring(self, bells: Iterable[Bell]) -> None:
        """Ring after a commit. Where the queue does not answer, the next sweep rings."""
        try:
            self.doorbell.ring(bells)
        except Exception:
            log.warning("the queue does not answer; the next sweep rings", exc_info=True)

    def check_stored_bytes(self, connection: Connection, job_id: int) -> None:
        """TooManyBytes where the key that made the job has more in the store than it may."""
        settings = self.settings
        quotas.check_bytes(connection, job_id, settings.key_max_bytes, keeps_uploads=settings.keep_uploads)

    def ring_purge(self) -> None:
        """Have deletion begin at once; beat's next tick begins it otherwise."""
        try:
            self.doorbell.call(PURGE)
        except Exception:
            log.warning("the queue does not answer; purge comes with its next tick", exc_info=True)


def connect(settings: Settings) -> Services:
    """Make the connections; none is opened before its first use."""
    database = Database(settings.database_url)
    doorbell = Doorbell(celery_app(settings))
    return Services(
        settings,
        database,
        Storage(settings),
        doorbell,
        Consumption(database, doorbell, settings.lease_s),
        ConcurrencyLimit(settings.api_uploads, settings.key_max_uploads, TooManyUploads),
        asyncio.Semaphore(settings.api_concurrent_uploads),
        ConcurrencyLimit(settings.api_exports, settings.key_max_exports, TooManyExports),
        BlockThreads(EXPORTING_THREADS),
        ReadAhead(EXPORTING_THREADS),
        BlockThreads(LISTENING_THREADS),
    )


async def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


Wired = Annotated[Services, Depends(_services)]
