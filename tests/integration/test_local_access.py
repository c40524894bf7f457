"""Who gets in without a key: this machine, and no page of another origin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from shared.core import api_keys as keys
from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import job
from tests.integration.asking import HERE, app_client, bearer, made_key


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """For what is the same on each database."""
    made = Database(f"sqlite:///{tmp_path / 'voxmood.db'}")
    upgrade.upgrade(made)
    yield made
    made.close()


@pytest.fixture
def local(sqlite: Database) -> Iterator[TestClient]:
    """An API in the one-machine default."""
    with app_client(sqlite) as client:
        yield client


LOCAL_HOSTS = ("localhost", "localhost:8000", "127.0.0.1:8000", "127.0.0.2", "[::1]:8000", "LOCALHOST")
FOREIGN_HOSTS = ("evil.example", "localhost.evil.example", "192.168.1.5:8000", "evil@localhost",
                 "127.0.0.1.a.example", "", "[::2]", "localhost:80.evil.example", "0.0.0.0:8000")  # fmt: skip


def test_without_a_key_the_host_is_this_machine(local: TestClient) -> None:
    for host in LOCAL_HOSTS:
        assert local.get("/v1/jobs", headers={"Host": host}).status_code == 200, host
    for host in FOREIGN_HOSTS:
        for path in ("/v1/jobs", "/v1/nothing", "/docs", "/health/ready"):
            answer = local.get(path, headers={"Host": host})
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign_host"), host


def test_without_a_key_no_page_of_another_origin_gets_in(local: TestClient, sqlite: Database) -> None:
    foreign = (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},  # another program of this machine's browser
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": HERE, "Sec-Fetch-Site": "cross-site"},
    )
    for headers in foreign:
        for answer in (
            local.get("/v1/jobs", headers=headers),
            local.post("/v1/jobs", json={}, headers=headers),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin"), headers
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        answer = local.get("/v1/jobs", headers={header: "127.0.0.1"})
        assert (answer.status_code, answer.json()["code"]) == (401, "key_needed_behind_proxy")
    own = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    assert local.post("/v1/jobs", json={}, headers=own).status_code == 201
    with sqlite.read() as connection:
        assert len(connection.execute(select(job)).all()) == 1


def test_a_key_is_looked_at_where_none_is_needed_and_works_behind_a_proxy(
    local: TestClient, sqlite: Database
) -> None:
    _, key = made_key(sqlite, "read")
    assert local.get("/v1/jobs", headers=bearer(keys.new_key())).status_code == 401
    through = {**bearer(key), "Host": "voxmood.example", "X-Forwarded-For": "203.0.113.7"}
    assert local.get("/v1/jobs", headers=through).status_code == 200
    assert local.post("/v1/jobs", json={}, headers=bearer(key)).json()["code"] == "missing_scope"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "voxmood.example", ""])
def test_off_loopback_no_setting_lets_anybody_in_without_a_key(sqlite: Database, host: str) -> None:
    with app_client(sqlite, api_host=host, require_key=False) as client:
        for name in (*LOCAL_HOSTS, *FOREIGN_HOSTS):
            assert client.get("/v1/jobs", headers={"Host": name}).json()["code"] == "key_needed"
        _, key = made_key(sqlite, "read")
        assert client.get("/v1/jobs", headers={**bearer(key), "Host": "any.example"}).status_code == 200
        assert client.get("/v1/nothing").status_code == 401
        assert client.get("/health/live", headers={"Host": "any.example"}).json() == {"live": True}


def test_hosts_can_be_named_where_keys_are_asked_for(sqlite: Database) -> None:
    _, key = made_key(sqlite, "read")
    with app_client(sqlite, require_key=True, allowed_hosts=["voxmood.example"]) as client:
        assert client.get("/v1/jobs", headers={**bearer(key), "Host": "voxmood.example"}).status_code == 200
        refused = client.get("/v1/jobs", headers={**bearer(key), "Host": "evil.example"})
        assert (refused.status_code, refused.json()["code"]) == (403, "host_not_allowed")
