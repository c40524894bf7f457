"""Databases with the newest schema on SQLite and on PostgreSQL, and what workers and API are wired to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from shared.core.settings import MEBIBYTE, Settings
from shared.database import upgrade
from shared.database.sessions import Database
from shared.jobs.doorbell import Doorbell, celery_app
from shared.store.objects import Storage
from tests.integration.filled_results import fill
from tests.servers import Store
from workers.services import Services


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'voxmood.db'}"
    else:
        url = request.getfixturevalue("postgres_database")
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def database(empty_database: Database) -> Database:
    """A database with the newest schema, of each kind."""
    upgrade.upgrade(empty_database)
    return empty_database


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with the job of 800 clips that `filled_results.answers` describes."""
    fill(database, 800)
    return database


@pytest.fixture
def services(
    database: Database, store: Store, valkey: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Services]:
    """Services of an unpack worker with small shards: 3 clips or 64 kB."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VOXMOOD_BROKER_URL", valkey)
    settings = Settings(shard_clips=3, shard_bytes=64_000, part_bytes=5 * MEBIBYTE)
    storage = Storage(settings)
    storage.ensure_bucket()
    yield Services(settings, database, storage, Doorbell(celery_app(settings)))


@pytest.fixture
def settings(store: Store, valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of an API with parts of 5 MiB, a public store and a bucket to take sources from."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VOXMOOD_BROKER_URL", valkey)
    monkeypatch.setenv("VOXMOOD_DATABASE_URL", f"sqlite:///{tmp_path / 'voxmood.db'}")
    monkeypatch.setenv("VOXMOOD_SOURCE_BUCKETS", '["tapes"]')
    monkeypatch.setenv("VOXMOOD_TRAINED_DIR", str(tmp_path / "trained"))
    made = Settings(part_bytes=5 * MEBIBYTE, s3_public_url=store.endpoint)
    upgrade.upgrade(Database(made.database_url))
    Storage(made).ensure_bucket()
    return made


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """The API in this process; an error of the server is an answer, not an exception."""
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as made:
        yield made
