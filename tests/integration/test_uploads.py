"""Uploads through the API on a real store: resumed, by a form, from a prefix, and after deaths."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.app import create_app
from api.receiving import Receiver
from shared.core.errors.infrastructure import StoreUnavailable
from shared.core.settings import MEBIBYTE, Settings
from shared.database import tables
from shared.database.sessions import Database
from shared.store.names import StoredObject
from shared.store.objects import Storage
from tests.integration.asking import BODY
from tests.servers import Store


@pytest.fixture
def job(client: TestClient) -> str:
    """The path of an open job."""
    return f"/v1/jobs/{client.post('/v1/jobs', json={}).json()['id']}"


def send_and_break(client: TestClient, job: str, count: int) -> None:
    """Send `count` bytes of BODY; then the server's process loses its way, as after kill -9."""

    def dies(self: Receiver, rest: bytes) -> Any:
        raise SystemError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Receiver, "_finish", dies)
        assert client.put(f"{job}/uploads/a.zip", content=BODY[:count]).status_code == 500


def rest_of(start: int, body: bytes = BODY) -> dict[str, Any]:
    """The request that sends a body from a byte on."""
    return {
        "content": body[start:],
        "headers": {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"},
    }


def stored(settings: Settings, client: TestClient, job: str) -> bytes:
    """What the store has of a job's one upload."""
    from sqlalchemy import select

    from shared.database.tables import upload

    database = Database(settings.database_url)
    with database.read() as connection:
        key = connection.execute(
            select(upload.c.object_key).where(upload.c.job_id == int(job.split("/")[-1]))
        )
        return Storage(settings).get(StoredObject(key.scalar_one()))


def test_an_upload_goes_on_at_its_last_acknowledged_part(
    settings: Settings, client: TestClient, job: str
) -> None:
    send_and_break(client, job, 11 * MEBIBYTE)
    known = client.get(f"{job}/uploads/a.zip").json()
    assert (known["state"], known["bytes"]) == ("receiving", 10 * MEBIBYTE)
    started = client.post(f"{job}/start")
    assert (started.status_code, started.json()["code"]) == (409, "upload_unfinished")
    assert f"{10 * MEBIBYTE} bytes so far" in started.json()["detail"]
    done = client.put(f"{job}/uploads/a.zip", **rest_of(10 * MEBIBYTE))
    assert (done.status_code, done.json()["bytes"]) == (201, len(BODY))
    assert stored(settings, client, job) == BODY


def test_an_upload_that_broke_before_its_first_part_leaves_nothing(client: TestClient, job: str) -> None:
    send_and_break(client, job, MEBIBYTE)
    assert client.get(f"{job}/uploads/a.zip").json()["code"] == "unknown_upload"


def test_no_part_behind_one_that_failed_is_acknowledged(
    settings: Settings, client: TestClient, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are on their way at once; the later one has long arrived when the earlier one fails."""
    body = BODY[: 5 * MEBIBYTE] + BODY  # 18 MiB: three whole parts, and a rest
    put_part, arrived = Storage.put_part, threading.Event()

    def second_fails(self: Storage, key: str, upload_id: str, number: int, part: bytes) -> str:
        if number == 2:
            assert arrived.wait(30)
            raise StoreUnavailable(endpoint=self.endpoint, reason="planted")
        tag = put_part(self, key, upload_id, number, part)
        if number == 3:
            arrived.set()
        return tag

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put_part", second_fails)
        assert client.put(f"{job}/uploads/a.zip", content=body).status_code == 503
    assert client.get(f"{job}/uploads/a.zip").json()["bytes"] == 5 * MEBIBYTE
    assert client.put(f"{job}/uploads/a.zip", **rest_of(5 * MEBIBYTE, body)).status_code == 201
    assert stored(settings, client, job) == body


def test_a_wrong_place_to_go_on_is_refused_with_the_right_one(client: TestClient, job: str) -> None:
    send_and_break(client, job, 6 * MEBIBYTE)
    wrong = client.put(f"{job}/uploads/a.zip", **rest_of(6 * MEBIBYTE))
    assert (wrong.status_code, wrong.json()["code"]) == (409, "upload_offset")
    assert f"go on from byte {5 * MEBIBYTE}" in wrong.json()["detail"]
    other = client.put(f"{job}/uploads/a.zip", content=b"x", headers={"Content-Range": "seconds 1-2/3"})
    assert (other.status_code, other.json()["code"]) == (416, "wrong_range")
    assert client.put(f"{job}/uploads/a.zip", **rest_of(5 * MEBIBYTE)).status_code == 201


def test_a_broken_upload_can_be_sent_anew(settings: Settings, client: TestClient, job: str) -> None:
    send_and_break(client, job, 6 * MEBIBYTE)
    assert client.put(f"{job}/uploads/a.zip", content=BODY).status_code == 201
    assert stored(settings, client, job) == BODY
    assert Storage(settings).abort_parts_older_than("jobs/", 0) == 0


def test_a_death_between_the_store_s_word_and_ours_loses_nothing(
    settings: Settings, client: TestClient, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is whole, its row still says `receiving`."""
    with monkeypatch.context() as patch:
        patch.setattr(Receiver, "_close", lambda self: (_ for _ in ()).throw(SystemError))
        assert client.put(f"{job}/uploads/a.zip", content=BODY).status_code == 500
    assert client.get(f"{job}/uploads/a.zip").json()["state"] == "receiving"
    done = client.put(f"{job}/uploads/a.zip", content=b"", headers=rest_of(len(BODY))["headers"])
    assert (done.status_code, done.json()["bytes"]) == (201, len(BODY))
    assert client.post(f"{job}/start").status_code == 200
    assert stored(settings, client, job) == BODY


def test_a_form_sends_a_file_straight_to_the_store(settings: Settings, client: TestClient, job: str) -> None:
    form = client.post(f"{job}/uploads", json={"name": "a.zip", "bytes": len(BODY)}).json()
    assert client.post(f"{job}/start").json()["code"] == "upload_unfinished"
    with httpx.Client(trust_env=False) as outside:
        too_large = outside.post(form["url"], data=form["fields"], files={"file": BODY + b"x"})
        assert too_large.status_code >= 400
        sent = outside.post(form["url"], data=form["fields"], files={"file": BODY})
    assert sent.status_code in (200, 201, 204), sent.text
    document = client.post(f"{job}/start").json()
    assert [(upload["name"], upload["bytes"]) for upload in document["uploads"]] == [("a.zip", len(BODY))]
    assert stored(settings, client, job) == BODY


def test_without_a_public_store_there_is_no_form(settings: Settings) -> None:
    private = settings.model_copy(update={"s3_public_url": None})
    with TestClient(create_app(private), "http://localhost") as client:
        job = client.post("/v1/jobs", json={}).json()["id"]
        refused = client.post(f"/v1/jobs/{job}/uploads", json={"name": "a.zip"})
        assert (refused.status_code, refused.json()["code"]) == (409, "no_public_store")


def test_what_lies_in_the_store_is_taken_from_there(store: Store, client: TestClient, job: str) -> None:
    outside = store.client()
    with suppress(ClientError):  # another test may have made it
        outside.create_bucket(Bucket="tapes")
    for key in ("1987/a.zip", "1987/b.zip", "1988/c.zip"):
        outside.put_object(Bucket="tapes", Key=key, Body=BODY)
    document = client.post(f"{job}/sources", json={"url": "s3://tapes/1987/"}).json()
    assert [(upload["name"], upload["state"]) for upload in document["uploads"]] == [
        ("1987/a.zip", "pending"), ("1987/b.zip", "pending"),
    ]  # fmt: skip
    for url, status, code in (
        ("s3://voxmood/jobs/", 403, "source_refused"),
        ("s3://tapes/1999/", 404, "source_empty"),
        ("file:///etc/passwd", 403, "source_refused"),
        ("s3://tapes/1987/", 409, "upload_exists"),
    ):
        refused = client.post(f"{job}/sources", json={"url": url})
        assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_a_failed_source_is_retried_where_it_lies_in_its_own_bucket(
    store: Store, client: TestClient, settings: Settings, job: str
) -> None:
    outside, job_id = store.client(), int(job.rsplit("/", 1)[1])
    with suppress(ClientError):  # another test may have made it
        outside.create_bucket(Bucket="tapes")
    for key in ("2001/a.zip", "2001/b.zip"):
        outside.put_object(Bucket="tapes", Key=key, Body=BODY[:1000])
    assert client.post(f"{job}/sources", json={"url": "s3://tapes/2001/"}).status_code == 201
    outside.delete_object(Bucket="tapes", Key="2001/b.zip")
    with Database(settings.database_url).write() as connection:
        connection.execute(update(tables.job).where(tables.job.c.id == job_id).values(state="failed"))
        failed = update(tables.upload).where(tables.upload.c.job_id == job_id)
        connection.execute(failed.values(state="failed", error_code="damaged_archive", error="x"))
    retried = client.post(f"{job}/retry")
    assert retried.status_code == 200, retried.text
    assert {upload["name"]: upload["state"] for upload in retried.json()["uploads"]} == {
        "2001/a.zip": "pending", "2001/b.zip": "failed",
    }  # fmt: skip


def test_an_encoding_of_names_is_checked_and_kept(client: TestClient) -> None:
    made = client.post("/v1/jobs", json={"encoding": "CP932"})
    assert (made.status_code, made.json()["encoding"]) == (201, "cp932")
    wrong = client.post("/v1/jobs", json={"encoding": "klingon"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown_encoding")


def test_the_same_idempotency_key_makes_one_job(client: TestClient) -> None:
    def create(key: str, **body: Any) -> httpx.Response:
        return client.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})

    first, second, other = create("k1", name="a"), create("k1", name="a"), create("k2", name="a")
    assert first.json()["id"] == second.json()["id"] != other.json()["id"]
    reused = create("k1", name="b")
    assert (reused.status_code, reused.json()["code"]) == (422, "key_used_again")
