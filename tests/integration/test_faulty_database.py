"""The database refuses, is locked, full, killed or stopped in the middle of a job: nothing is lost."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, update

from shared.core.settings import Settings
from shared.database import sessions, upgrade
from shared.database.sessions import Database
from shared.database.tables import job, shard, unit, upload
from shared.jobs.doorbell import Doorbell, celery_app
from shared.store.objects import Storage
from tests.archive_builders import zip_of
from tests.faults.work import clips
from tests.integration.builders import set_row
from tests.integration.sending import count, send
from tests.integration.working import is_classified, work
from tests.postgres import Postgres, own_postgres
from tests.servers import Store
from workers.services import Services

CLIPS = 40
TABLES = ("upload", "clip", "prediction")  # written first when shards are committed, and when outcomes are


def parts_on(url: str) -> Services:
    """Services of workers with small shards on a new database."""
    settings = Settings(shard_clips=8, lease_s=5.0)  # full, a disk does not even let a lease be given back
    database = Database(url)
    upgrade.upgrade(database)
    return Services(settings, database, Storage(settings), Doorbell(celery_app(settings)))


@pytest.fixture(autouse=True)
def servers(store: Store, valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's store and queue, by the environment."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VOXMOOD_BROKER_URL", valkey)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Services]:
    """Services on SQLite."""
    services = parts_on(f"sqlite:///{tmp_path / 'voxmood.db'}")
    yield services
    services.database.close()


def sent(services: Services) -> tuple[int, dict[str, list[str]]]:
    """A running job of one archive; its manifest."""
    members = clips(CLIPS)
    job_id, _ = send(services, zip_of(members, 0))
    set_row(services.database, job, job_id, model_version=services.settings.champion)
    return job_id, {"in.zip": list(members)}


@pytest.mark.parametrize(
    "table",
    [pytest.param(table, marks=pytest.mark.long if table != "prediction" else ()) for table in TABLES],
)
def test_what_sqlite_refuses_is_done_again(sqlite: Services, table: str) -> None:
    """The first three inserts of a row fail, as a fault in the file would make them fail."""
    job_id, manifest = sent(sqlite)
    refusals = iter([1, 1, 1])

    def plant(connection: sqlite3.Connection, _record: Any) -> None:
        connection.create_function("refused", 0, lambda: next(refusals, 0))

    event.listen(sqlite.database.engine, "connect", plant)
    sqlite.database.close()  # so that connections are made anew
    with sqlite.database.write() as connection:
        change = "UPDATE" if table == "upload" else "INSERT"
        connection.exec_driver_sql(
            f"CREATE TRIGGER refusing BEFORE {change} ON {table} WHEN refused() = 1 "
            "BEGIN SELECT RAISE(ABORT, 'planted'); END"
        )
    work_through(sqlite, job_id)
    assert next(refusals, 0) == 0, "nothing was refused"
    is_classified(sqlite, job_id, manifest)


def work_through(services: Services, job_id: int) -> None:
    """As `work`; an error that is no fault of the surroundings ends the task, as it does in Celery."""
    for _ in range(10):
        try:
            work(services, job_id)
        except sessions.DBAPIError:
            continue
        return
    raise AssertionError("it failed ten times")


@pytest.mark.parametrize(
    "state", ["40001", *(pytest.param(one, marks=pytest.mark.long) for one in ("53200", "P0001"))]
)
def test_a_commit_that_postgresql_refuses_is_done_again(postgres_database: str, state: str) -> None:
    """Out of memory, a serialization failure and an error of a trigger's own, at COMMIT itself."""
    services = parts_on(postgres_database)
    job_id, manifest = sent(services)
    with psycopg.connect(postgres_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE refusals")  # a sequence does not roll back
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF nextval('refusals') <= 3 THEN "
            f"RAISE EXCEPTION 'planted' USING ERRCODE = '{state}'; END IF; RETURN NULL; END $$".encode()
        )
        for table in ("clip", "prediction"):
            connection.execute(
                f"CREATE CONSTRAINT TRIGGER refusing AFTER INSERT ON {table} "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()".encode()
            )
        work_through(services, job_id)
        assert connection.execute("SELECT last_value FROM refusals").fetchone()[0] > 3
    is_classified(services, job_id, manifest)
    services.database.close()


def test_a_database_that_another_process_keeps_locked_is_waited_for(
    sqlite: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked for longer than busy_timeout and the tries together: the work goes back, and on."""
    job_id, manifest = sent(sqlite)
    monkeypatch.setattr(sessions, "_BUSY_TIMEOUT_MS", 100)
    monkeypatch.setattr(sessions, "_AGAIN_S", 0.5)
    sqlite.database.close()
    locked = threading.Event()

    def lock() -> None:
        other = sqlite3.connect(sqlite.database.url.database, isolation_level=None, timeout=30)
        other.execute("BEGIN EXCLUSIVE")
        locked.set()
        time.sleep(2.0)
        other.execute("ROLLBACK")
        other.close()

    locking = threading.Thread(target=lock)
    locking.start()
    locked.wait()
    met = work(sqlite, job_id)
    locking.join()
    assert met["database_unavailable"]
    is_classified(sqlite, job_id, manifest)


def test_a_full_disk_stops_a_job_with_a_clear_error_until_there_is_room(sqlite: Services) -> None:
    job_id, manifest = sent(sqlite)
    limits = {"pages": 0}

    def limit(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {limits['pages'] or 2**30}")

    event.listen(sqlite.database.engine, "connect", limit)
    sqlite.database.close()
    with contextlib.closing(
        sqlite3.connect(sqlite.database.url.database, isolation_level=None)
    ) as connection:
        connection.execute("VACUUM")  # migrations leave free pages
        limits["pages"] = connection.execute("PRAGMA page_count").fetchone()[0]

    with pytest.raises(AssertionError, match="database_full"):
        work(sqlite, job_id, limit_s=10)
    limits["pages"] = 0
    sqlite.database.close()
    with sqlite.database.write() as connection:  # as if the pause after so many failures had passed
        for table in (upload, unit):
            connection.execute(update(table).values(not_before=None))
    work(sqlite, job_id)
    is_classified(sqlite, job_id, manifest)


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_job_outlives_a_postgresql_that_ends_and_comes_back(how: signal.Signals) -> None:
    """Once while its clips are committed, once while its outcomes are."""
    with own_postgres() as server:
        services = parts_on(server.url)
        job_id, manifest = sent(services)
        over = threading.Event()
        harming = threading.Thread(target=end_twice, args=(server, services, how, over))
        harming.start()
        try:
            work(services, job_id)
            is_classified(services, job_id, manifest)
        finally:
            over.set()
            harming.join()
            services.database.close()


def end_twice(server: Postgres, services: Services, how: signal.Signals, over: threading.Event) -> None:
    """At once, and again when all shards are there."""
    for shards in (0, CLIPS // 8):
        while count(services, shard) < shards and not over.wait(0.01):
            pass
        server.end(how)
        time.sleep(1.0)
        server.start()
    over.wait()  # the kernel ends a server with the thread that started it
