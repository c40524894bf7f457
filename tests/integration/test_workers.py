"""A real worker process: it gives back what it holds when asked to end, and ends when it takes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from sqlalchemy import select

from shared.core.settings import Settings
from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import consumption, upload
from shared.jobs.doorbell import UNPACK, Bell, Doorbell, celery_app
from shared.store.objects import Storage
from tests.archive_builders import zip_of
from tests.integration.builders import row_of
from tests.integration.sending import send
from tests.servers import Store
from tests.waiting import wait_for
from workers.services import Services

QUEUE = "unpack.small"


@pytest.fixture
def surroundings(
    store: Store, valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """What a worker process finds: a queue, a store and a SQLite database, by environment variables."""
    named = store.environment | {
        "VOXMOOD_BROKER_URL": valkey,
        "VOXMOOD_DATABASE_URL": f"sqlite:///{tmp_path / 'voxmood.db'}",
        "VOXMOOD_WATCHDOG_S": "3",
    }
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    redis.Redis.from_url(valkey).flushall()  # other tests have rung and left
    database = Database(settings.database_url)
    upgrade.upgrade(database)
    yield Services(settings, database, Storage(settings), Doorbell(celery_app(settings)))
    database.close()


@contextmanager
def worker(services: Services, log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """An unpack worker that has shown that it consumes."""
    argv = [sys.executable, "-m", "celery", "--app=workers.app", "worker", f"--queues={QUEUE}"]
    argv += ["--concurrency=1", "--hostname=tested@voxmood", "--without-mingle", "--without-gossip"]
    before = seen_at(services)
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **settings}
        )
    try:
        wait_for(lambda: seen_at(services) > before, 60, log.read_text)
        yield process
    finally:
        process.kill()
        process.wait()


def seen_at(services: Services) -> float:
    with services.database.read() as connection:
        statement = select(consumption.c.seen_at).where(consumption.c.queue == QUEUE)
        return connection.execute(statement).scalar_one_or_none() or 0.0


def test_a_worker_that_lives_but_takes_nothing_ends_and_says_why(
    surroundings: Services, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    app = celery_app(surroundings.settings)
    with worker(surroundings, log) as process:
        # What celery #10205 leaves: it answers, and consumes nothing.
        app.control.cancel_consumer(QUEUE, reply=True, timeout=5.0)
        time.sleep(4)
        assert process.poll() is None, "an empty queue is no reason"
        surroundings.doorbell.probe([QUEUE], expires_s=60)
        assert app.control.ping(timeout=2.0), "it lives"
        assert process.wait(timeout=30) == 0
    assert "nothing was taken from unpack.small for 3 s" in log.read_text()
    with worker(surroundings, log):  # as its supervisor does
        wait_for(lambda: surroundings.doorbell.waiting(QUEUE) == 0, 60, log.read_text)


def test_sigterm_gives_an_upload_back_at_once(surroundings: Services, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    archive = zip_of({f"{n}.wav": os.urandom(40_000) for n in range(2500)}, 0)
    _, upload_id = send(surroundings, archive)
    with worker(surroundings, log) as process:
        surroundings.doorbell.ring([Bell(UNPACK, upload_id, small=True, text="")])
        wait_for(lambda: row_of(surroundings.database, upload, upload_id).next_member, 60, log.read_text)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
    left = row_of(surroundings.database, upload, upload_id)
    assert (left.state, left.lease_until, left.not_before) == ("pending", None, None)
    assert (left.returns, left.crashes) == (1, 0)
    assert 0 < left.next_member < 2500
