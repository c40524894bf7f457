"""The store refuses, resets, answers 503, breaks off inside a body or drips: nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.settings import Settings
from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import job, shard
from shared.jobs.doorbell import Doorbell, celery_app
from shared.store.objects import Storage
from tests.archive_builders import zip_of
from tests.faults.proxy import FAULTS, Fault, Proxy, running_proxy
from tests.faults.work import clips
from tests.integration.builders import set_row
from tests.integration.sending import count, send
from tests.integration.working import is_classified, work
from tests.servers import Store
from workers.services import Services

FAULT_S = 1.5


@pytest.fixture
def proxy(store: Store) -> Iterator[Proxy]:
    """Before the session's store."""
    with running_proxy(store.endpoint) as running:
        yield running


@pytest.fixture
def services(
    proxy: Proxy, store: Store, valkey: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Services]:
    """Services of workers on SQLite with small shards, whose store is behind the proxy."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VOXMOOD_BROKER_URL", valkey)
    database = Database(f"sqlite:///{tmp_path / 'voxmood.db'}")
    upgrade.upgrade(database)
    settings = Settings(s3_endpoint=proxy.url, shard_clips=8)
    yield Services(settings, database, Storage(settings), Doorbell(celery_app(settings)))
    database.close()


LONG: tuple[Fault, ...] = ("refuse", "reset", "drip")


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=pytest.mark.long if fault in LONG else ()) for fault in FAULTS]
)
def test_a_job_outlives_a_faulty_store(services: Services, proxy: Proxy, fault: Fault) -> None:
    """Once while its shards are written, once while they are read."""
    members = clips(40)
    job_id, _ = send(services, zip_of(members, 0))
    set_row(services.database, job, job_id, model_version=services.settings.champion)

    def harm() -> None:
        for shards in (0, 5):
            while count(services, shard) < shards:
                time.sleep(0.01)
            proxy.behave(fault)
            time.sleep(FAULT_S)
            proxy.behave(None)

    harming = threading.Thread(target=harm)
    harming.start()
    work(services, job_id)
    harming.join()
    assert proxy.harmed
    is_classified(services, job_id, {"in.zip": list(members)})
