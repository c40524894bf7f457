"""Requests for tests: an archive to send, who sends it, and an API that is asked."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from api.app import create_app
from shared.core import api_keys as keys
from shared.core.settings import MEBIBYTE, Settings
from shared.database import keys as stored_keys
from shared.database.sessions import Database
from tests.archive_builders import zip_of

HERE = "http://localhost"
BODY = zip_of({f"{n}.wav": bytes([n]) * MEBIBYTE for n in range(13)}, 0)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def made_key(database: Database, *scopes: str, **options: Any) -> tuple[int, str]:
    key = keys.new_key()
    with database.write() as connection:
        return stored_keys.add(connection, database, key, "test", scopes, **options), key


def app_client(database: Database, **settings: Any) -> TestClient:
    """The API in this process, on this database alone."""
    url = database.url.render_as_string(hide_password=False)
    # Neither queue nor store is there: what gets so far is told 503.
    away = {"s3_endpoint": "http://127.0.0.1:9", "broker_url": "redis://127.0.0.1:9/0"}
    made = Settings(**{"database_url": url, "s3_public_url": HERE, **away, **settings})
    return TestClient(create_app(made), HERE, raise_server_exceptions=False)
