"""What a worker process is wired to; made once a process, after the fork."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from shared.core.errors.base import VoxmoodError
from shared.core.errors.models import NoGpu
from shared.core.settings import Settings
from shared.database import upgrade
from shared.database.consumption import note_consumption
from shared.database.sessions import Database
from shared.jobs import champions
from shared.jobs.doorbell import Doorbell, celery_app
from shared.models.serving import devices, registry
from shared.store.objects import Storage

log = logging.getLogger(__name__)
SIGN_EVERY_S = 5.0  # workers.sweep asks for one after 15 s without


@dataclass(frozen=True, slots=True)
class Services:
    """Settings and connections of this process."""

    settings: Settings
    database: Database
    storage: Storage
    doorbell: Doorbell
    _signs: dict[str, float] = field(default_factory=dict)

    def champion(self) -> str:
        """The version that is the champion now."""
        return champions.current(self.database, self.settings.champion)

    def seen(self, queue: str) -> None:
        """Note, every 5 s at most, that something was taken from `queue`: `/health/ready` asks for it."""
        now = time.monotonic()
        if now - self._signs.get(queue, -SIGN_EVERY_S) < SIGN_EVERY_S:
            return
        with self.database.write() as connection:
            note_consumption(connection, self.database, queue)
        self._signs[queue] = now


@cache
def services() -> Services:
    """The one of this process."""
    settings = Settings()
    # All tries of a request together end before a lease does.
    storage = Storage(settings, read_timeout_s=max(5.0, settings.lease_s / 4), tries=3)
    return Services(settings, Database(settings.database_url), storage, Doorbell(celery_app(settings)))


def wait_for_services(classifies: bool) -> Services:
    """Block until database (at its newest schema), bucket and, to classify, a sound champion are there.

    Nothing depends on start order. Without this a child whose model is damaged would take bells, answer
    probes and classify nothing: Celery logs an error in a child's start and goes on.
    """
    own = services()
    _wait("the database's schema", lambda: upgrade.current(own.database) == upgrade.head())
    if classifies:
        settings = own.settings
        _wait("the model", lambda: bool(registry.verify(settings.model_folders, own.champion())))
        # TensorFlow is not asked: a parent that has run it leaves children that hang.
        if (settings.device, settings.runtime) == ("gpu", "onnx"):
            _wait("a GPU", _has_provider)
    _wait("the object store", own.storage.ensure_bucket)
    return own


def _has_provider() -> bool:
    if lack := devices.onnx_lack():
        raise NoGpu(lack=lack)
    return True


def _wait(what: str, ready: Callable[[], bool]) -> None:
    delay_s = 0.1
    while True:
        try:
            if ready():
                return
            reason = "not there yet"
        except VoxmoodError as error:
            reason = str(error)
        log.info("waiting for %s: %s", what, reason)
        time.sleep(delay_s)
        delay_s = min(2 * delay_s, 5.0)
