"""Requests for tests: an archive to send, and who sends it."""

from __future__ import annotations

from typing import Any

from shared.core import api_keys as keys
from shared.core.settings import MEBIBYTE
from shared.database import keys as stored_keys
from shared.database.sessions import Database
from tests.archive_builders import zip_of

BODY = zip_of({f"{n}.wav": bytes([n]) * MEBIBYTE for n in range(13)}, 0)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def made_key(database: Database, *scopes: str, **options: Any) -> tuple[int, str]:
    key = keys.new_key()
    with database.write() as connection:
        return stored_keys.add(connection, database, key, "test", scopes, **options), key
