"""The ingestion endpoint: `python -m api.app`. Never imports TensorFlow."""

from __future__ import annotations

import logging

import uvicorn
from fastapi import Depends, FastAPI

from api import (
    clips,
    documentation,
    health,
    jobs,
    labels,
    lifecycle,
    models,
    problems,
    results,
    review,
    uploads,
    webhook_event,
)
from api.access import Gate
from api.heads import HeadRequests
from api.http_protocol import protocol
from api.limits import Limits
from api.request_ids import RequestIds
from api.services import connect
from api.strict import known_parameters
from shared.core import logs
from shared.core.errors.base import VoxmoodError
from shared.core.processes import give_buffers_back
from shared.core.settings import Settings
from shared.database import keys
from shared.database.sessions import Database, DatabaseError

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The application; it connects to nothing before its first request."""
    app = FastAPI(
        title="voxmood",
        version="1",
        summary="Bulk emotion classification for archives of speech and song",
        description="Create a job, PUT its uploads, start it, then poll it and read its results.",
        openapi_url=documentation.OPENAPI,
        docs_url=None,
        redoc_url=None,
        responses=problems.RESPONSES,
        webhooks=webhook_event.router,
        dependencies=[Depends(known_parameters)],
    )
    app.state.services = connect(settings)
    problems.install(app)
    app.add_middleware(Limits, settings=settings)
    # The last to be added is the first to be asked: whoever has no key costs nothing further.
    app.add_middleware(Gate, settings=settings, database=app.state.services.database)
    app.add_middleware(HeadRequests)
    app.add_middleware(RequestIds)
    for module in (documentation, jobs, lifecycle, uploads, results, clips, labels, review, models, health):
        app.include_router(module.router)
    return app


def _has_keys(database: Database) -> bool:
    try:
        with database.read() as connection:
            return keys.any_valid(connection, database)
    except (VoxmoodError, DatabaseError):
        return False  # the schema is not there yet, so no key is


def main() -> None:
    """Serve until ended."""
    # So large is the text of the smallest pages, and half of a block of a recording.
    give_buffers_back(128 * 1024)
    settings = Settings()
    app = create_app(settings)
    logs.set_up(settings.log_level, settings.log_format)
    if settings.asks_for_key and not _has_keys(app.state.services.database):
        log.warning("nobody has an API key yet: `voxmood keys create` makes one")
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # anybody can write them
        http=protocol(settings),
        limit_concurrency=settings.api_connections,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
