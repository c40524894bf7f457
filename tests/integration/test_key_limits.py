"""How many bytes an API key may have stored: announced, on their way, or by a form. On a real store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from shared.core.settings import Settings
from shared.database.sessions import Database
from shared.database.tables import job as job_table
from shared.database.tables import shard, upload
from shared.store.names import job_prefix
from shared.store.objects import Storage
from tests.integration.asking import BODY, MEBIBYTE, bearer, made_key
from tests.integration.builders import make_job, row_of, set_row

LIMIT = len(BODY) + 6 * MEBIBYTE


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database(settings.database_url)
    yield made
    made.close()


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    limited = settings.model_copy(update={"require_key": True, "key_max_bytes": LIMIT})
    with TestClient(create_app(limited), "http://localhost", raise_server_exceptions=False) as made:
        yield made


def new_job(client: TestClient, key: str) -> str:
    return f"/v1/jobs/{client.post('/v1/jobs', json={}, headers=bearer(key)).json()['id']}"


def put(client: TestClient, path: str, key: str, content: Any) -> httpx.Response:
    return client.put(path, content=content, headers=bearer(key))


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_bytes"), answer.text
    assert "VOXMOOD_KEY_MAX_BYTES" in answer.json()["detail"]


def test_what_is_announced_is_counted_before_it_is_sent(client: TestClient, database: Database) -> None:
    _, key = made_key(database, "submit", "read")
    _, other = made_key(database, "submit", "read")
    job = new_job(client, key)
    assert put(client, f"{job}/uploads/a.zip", key, BODY).status_code == 201
    refused(put(client, f"{new_job(client, key)}/uploads/b.zip", key, BODY))
    assert put(client, f"{new_job(client, other)}/uploads/b.zip", other, BODY).status_code == 201
    assert client.delete(job, headers=bearer(key)).status_code == 202  # there until it is purged
    refused(put(client, f"{new_job(client, key)}/uploads/b.zip", key, BODY))


def test_what_is_not_announced_is_counted_as_it_comes_and_leaves_nothing_once_refused(
    client: TestClient, database: Database, settings: Settings
) -> None:
    _, key = made_key(database, "submit", "read")
    job = new_job(client, key)
    refused(put(client, f"{job}/uploads/a.zip", key, iter([BODY, *[bytes(MEBIBYTE)] * 64])))
    assert client.get(job, headers=bearer(key)).json()["uploads"] == []
    with database.read() as connection:
        assert connection.execute(select(upload)).all() == []
        prefix = job_prefix(connection.execute(select(job_table.c.key)).scalar_one())
    storage = Storage(settings)
    assert [keys for keys in storage.older_than(prefix, -60) if keys] == []
    assert storage.abort_parts_older_than(prefix, 0) == 0
    small = BODY[: 4 * MEBIBYTE]
    for number in range(LIMIT // len(small)):
        assert put(client, f"{job}/uploads/{number}.zip", key, iter([small])).status_code == 201
    refused(put(client, f"{job}/uploads/more.zip", key, iter([small])))


def test_a_form_says_how_much_comes_and_keeps_room_for_it(client: TestClient, database: Database) -> None:
    _, key = made_key(database, "submit", "read")
    job = new_job(client, key)

    def form(**wanted: Any) -> httpx.Response:
        return client.post(f"{job}/uploads", json={"name": "a.zip", **wanted}, headers=bearer(key))

    assert (form().status_code, form().json()["code"]) == (422, "form_without_size")
    refused(form(bytes=LIMIT + 1))
    assert form(bytes=LIMIT).status_code == 201
    refused(put(client, f"{job}/uploads/b.zip", key, BODY))


def test_shards_count_and_unpacked_uploads_do_not(client: TestClient, database: Database) -> None:
    key_id, key = made_key(database, "submit", "read")
    made = make_job(database, key_id=key_id)
    set_row(database, upload, made.upload, bytes=LIMIT)  # done, so removed from the store
    assert row_of(database, shard, made.shard).bytes == 9
    job = new_job(client, key)
    assert put(client, f"{job}/uploads/a.zip", key, BODY).status_code == 201
    set_row(database, shard, made.shard, bytes=LIMIT)
    refused(put(client, f"{job}/uploads/b.zip", key, BODY))
