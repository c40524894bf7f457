"""Exports and uploads at once are counted, in all and by key; one too many is told when to come again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.concurrency import ConcurrencyLimit
from api.spool import Spool
from shared.core.errors.infrastructure import SpoolFull
from shared.core.errors.requests import TooManyExports
from shared.core.settings import Settings
from shared.database.sessions import Database
from shared.stack.ports import LOOPBACK
from tests.integration.asking import BODY, bearer, made_key
from tests.integration.builders import make_job
from voxmood import flows
from voxmood.client import Client


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """One export and one upload at once."""
    narrow = settings.model_copy(update={"api_exports": 1, "api_uploads": 1})
    with TestClient(create_app(narrow), "http://localhost", raise_server_exceptions=False) as made:
        yield made


def test_a_key_has_its_share_and_leaves_the_rest_to_others() -> None:
    limit = ConcurrencyLimit(3, 2, TooManyExports)
    with limit.slot(1), limit.slot(1):
        with pytest.raises(TooManyExports, match="Your key has 2 exports"), limit.slot(1):
            pass
        with limit.slot(2):
            for key in (3, None):
                with pytest.raises(TooManyExports, match="This server has 3 exports"), limit.slot(key):
                    pass
        with limit.slot(None), pytest.raises(TooManyExports), limit.slot(None):
            pass
    with limit.slot(1), limit.slot(1), limit.slot(2):
        pass


def refused(answer: httpx.Response, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, code)
    assert answer.headers["Retry-After"] == "5"


def test_one_export_too_many_waits_for_its_turn(
    settings: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_job(Database(settings.database_url))
    path = f"/v1/jobs/{made.job}/export"
    limit = client.app.state.services.exports  # type: ignore[attr-defined]
    waits: list[str] = []
    monkeypatch.setattr(flows, "AGAIN_S", 0.01)
    with limit.slot(None):
        refused(client.get(path), "too_many_exports")
    for _ in range(
        3
    ):  # what has ended has given its place back, also where it was refused for another reason
        assert client.get(path).status_code == 200
        assert client.get(path, params={"outcome": "none"}).status_code == 422
        assert client.head(path).content == b""
    command = Client(f"http://{LOOPBACK}", http=client)
    slot = limit.slot(None)
    slot.__enter__()

    def leave(note: str) -> None:
        if not waits:
            slot.__exit__(None, None, None)
        waits.append(note)

    assert b"".join(command.export(made.job, on_note=leave)).startswith(b"path,")
    assert waits[0] == (
        "This server has 1 exports on their way, the most at once (VOXMOOD_API_EXPORTS in all, "
        "VOXMOOD_KEY_MAX_EXPORTS of a key). Try again in a moment. Waiting for a turn."
    )


def test_one_upload_too_many_leaves_nothing_and_is_sent_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job = client.post("/v1/jobs", json={}).json()["id"]
    limit = client.app.state.services.uploads  # type: ignore[attr-defined]
    with limit.slot(None):
        refused(client.put(f"/v1/jobs/{job}/uploads/a.zip", content=BODY), "too_many_uploads")
        assert client.get(f"/v1/jobs/{job}").json()["uploads"] == []
    slot = limit.slot(None)
    slot.__enter__()
    monkeypatch.setattr("time.sleep", lambda _: slot.__exit__(None, None, None))
    monkeypatch.setenv("VOXMOOD_STATE", str(tmp_path / "state"))
    (tmp_path / "a.zip").write_bytes(BODY)
    notes: list[str] = []
    sent = Client(f"http://{LOOPBACK}", http=client).submit(tmp_path / "a.zip", on_note=notes.append)
    assert "VOXMOOD_KEY_MAX_UPLOADS of a key). Trying again in 1 s." in notes[0]
    assert client.get(f"/v1/jobs/{sent.id}").json()["uploads"][0]["state"] == "pending"


def test_a_key_with_many_uploads_does_not_hinder_another(settings: Settings) -> None:
    database = Database(settings.database_url)
    (key_id, mine), (_, other) = (made_key(database, "submit") for _ in range(2))
    limited = settings.model_copy(update={"require_key": True, "key_max_uploads": 1})
    with TestClient(create_app(limited), "http://localhost") as client:

        def put(key: str, content: Any, name: str) -> httpx.Response:
            job = client.post("/v1/jobs", json={}, headers=bearer(key)).json()["id"]
            return client.put(f"/v1/jobs/{job}/uploads/{name}", content=content, headers=bearer(key))

        with client.app.state.services.uploads.slot(key_id):  # type: ignore[attr-defined]
            refused(put(mine, BODY, "b.zip"), "too_many_uploads")
            assert put(other, BODY, "c.zip").status_code == 201
        assert put(mine, BODY, "d.zip").status_code == 201


def test_what_waits_on_disk_has_no_name_and_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "made" / "here")
    for block in (b"one", b"two", b"three"):
        spool.add(block)
    assert list((tmp_path / "made" / "here").iterdir()) == []
    assert (spool.size, spool.taken(), spool.size, spool.taken()) == (11, b"onetwothree", 0, b"")
    spool.add(b"again")
    assert spool.taken() == b"again"
    spool.close()
    (tmp_path / "file").touch()
    with pytest.raises(SpoolFull, match=r"waits in .*file, which cannot be written: .*VOXMOOD_SPOOL_DIR"):
        Spool(tmp_path / "file").add(b"x")
