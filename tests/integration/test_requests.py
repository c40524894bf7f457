"""What every request and answer has in common: known words, places, numbers, kinds of problems."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.logs import formatter
from shared.core.settings import Settings
from shared.database.sessions import Database
from shared.database.tables import clip, job
from shared.store.objects import Storage
from tests.archive_builders import tar_of
from tests.integration.builders import Made, make_job, set_row

RECORDING = wav_bytes(speech_like("happy", 16_000, 0.5, seed=1), 16_000)


@pytest.fixture
def made(settings: Settings) -> Made:
    return make_job(Database(settings.database_url))


def refused(answer: Any, status: int, code: str) -> str:
    """The sentence of a problem document, whose type leads to its explanation."""
    document = answer.json()
    assert (answer.status_code, document["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["type"] == f"/problems#{code}"
    assert document["request_id"] == answer.headers["X-Request-Id"]
    return str(document["detail"])


def test_what_is_made_says_where_it_is(client: TestClient) -> None:
    opened = client.post("/v1/jobs", json={"name": "tapes"})
    assert opened.status_code == 201
    place = opened.headers["Location"]
    assert client.get(place).json()["name"] == "tapes"
    for name in ("a b/ü.zip", "100%.wav"):
        sent = client.put(f"{place}/uploads/{name.replace('%', '%25')}", content=RECORDING)
        assert sent.status_code == 201
        assert client.get(sent.headers["Location"]).json()["name"] == name
    form = client.post(f"{place}/uploads", json={"name": "direct.zip", "bytes": 10})
    assert form.status_code == 201
    assert client.get(form.headers["Location"]).json()["name"] == "direct.zip"


@pytest.mark.parametrize(
    ("method", "path", "body", "word"),
    [
        ("post", "/v1/jobs", {"treshold": 0.9}, "treshold"),
        ("post", "/v1/jobs", {"name": "tapes", "web_hook": "https://example.org/"}, "web_hook"),
        ("post", "{job}/uploads", {"name": "a.zip", "byte": 3}, "byte"),
        ("post", "{job}/sources", {"url": "s3://tapes/", "recursive": True}, "recursive"),
        ("post", "/v1/labels", [{"clip_id": 1, "emotion": "happy", "speeker": "x"}], "speeker"),
        ("get", "/v1/jobs?stat=done", None, "stat"),
        ("get", "{job}/results?outcom=failed", None, "outcom"),
        ("get", "{job}/export?fromat=csv", None, "fromat"),
        ("post", "{job}/start?force=1", None, "force"),
    ],
)
def test_words_that_nobody_knows_are_refused(
    client: TestClient, made: Made, method: str, path: str, body: Any, word: str
) -> None:
    path = path.format(job=f"/v1/jobs/{made.job}")
    answer = client.request(method, path, json=body) if body is not None else client.request(method, path)
    code = "unknown_parameter" if "?" in path else "invalid_request"
    assert re.search(rf"\b{word}\b", refused(answer, 422, code))


def test_head_is_get_without_its_body(client: TestClient, settings: Settings, made: Made) -> None:
    database = Database(settings.database_url)
    shard = tar_of({"0.wav": RECORDING})
    with database.write() as connection:
        row = clip.c.id == made.clips[0]
        connection.execute(update(clip).where(row).values(offset=512, size=len(RECORDING)))
    storage = Storage(settings)
    with database.read() as connection:
        key = connection.exec_driver_sql("select object_key from shard").scalar_one()
    storage.put(key, shard)
    for path in (f"/v1/clips/{made.clips[0]}/audio", f"/v1/jobs/{made.job}/export", "/v1/jobs", "/docs"):
        heard, told = client.get(path), client.head(path)
        assert (heard.status_code, told.status_code) == (200, 200)
        assert told.content == b"" != heard.content
        kept = ("content-type", "content-disposition", "etag", "accept-ranges", "voxmood-complete")
        assert {name: heard.headers.get(name) for name in kept} == {
            name: told.headers.get(name) for name in kept
        }
    assert client.get(f"/v1/clips/{made.clips[0]}/audio").content == RECORDING
    audio = client.head(f"/v1/clips/{made.clips[0]}/audio")
    assert audio.headers["content-length"] == str(len(RECORDING))
    assert client.head("/v1/jobs/999").status_code == 404
    assert client.head("/v1/jobs/999").content == b""


def test_a_request_has_one_number_in_its_answer_and_in_the_log(
    client: TestClient, made: Made, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (client.get("/v1/jobs").headers["X-Request-Id"] for _ in range(2))
    assert first != second
    assert client.get("/v1/jobs", headers={"X-Request-Id": "tape-7"}).headers["X-Request-Id"] == "tape-7"
    for bent in ("a b", "x" * 200, "ü"):
        odd = client.get("/v1/jobs", headers={"X-Request-Id": bent.encode()})
        assert re.fullmatch("[0-9a-f]{32}", odd.headers["X-Request-Id"])

    def fails(*_: Any, **__: Any) -> None:
        logging.getLogger("api.jobs").warning("on the way")
        raise RuntimeError("planted")

    monkeypatch.setattr("api.jobs.find", fails)
    caplog.handler.setFormatter(formatter("json"))
    answer = client.get(f"/v1/jobs/{made.job}", headers={"X-Request-Id": "tape-8"})
    refused(answer, 500, "internal_error")
    lines = [line for line in caplog.text.splitlines() if "on the way" in line or "planted" in line]
    assert len(lines) == 2
    assert all('"request": "tape-8"' in line for line in lines)


def test_the_documentation_needs_no_other_server(client: TestClient) -> None:
    assert client.get("/", follow_redirects=False).headers["location"] == "/docs"
    page = client.get("/").text
    for linked in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert linked.startswith("/")
        assert client.get(linked).status_code == 200
    assert "://" not in re.sub(r"<!--.*?-->", "", page)
    style = client.get("/docs/swagger-ui.css").text
    assert not re.search(r"url\((?!['\"]?data:)", style)
    assert not re.search(r"(?:src|href|url)\s*[=(]", client.get("/problems").text)


def test_every_code_that_a_problem_can_have_is_explained(client: TestClient) -> None:
    page = client.get("/problems").text
    explained = set(re.findall(r'<tr id="(\w+)"', page))
    asked = {
        client.get("/v1/jobs/999").json()["code"],
        client.get("/nothing").json()["code"],
        client.post("/v1/jobs", json={"threshold": 7}).json()["code"],
        client.delete("/v1/clips/1").json()["code"],
        client.get("/v1/clips/1/audio").json()["code"],
        client.put("/v1/jobs/999/uploads/a.zip", content=b"x").json()["code"],
    }
    assert asked <= explained
    assert "`" not in page
    assert not re.search(r"\{\w+:", page.partition("</style>")[2])


def test_rows_and_webhooks_are_declared_with_examples(client: TestClient, made: Made) -> None:
    document = client.get("/v1/openapi.json").json()

    def resolved(schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    page = document["paths"]["/v1/jobs/{job_id}/results"]["get"]["responses"]["200"]
    rows = resolved(page["content"]["application/json"]["schema"])["properties"]["results"]["items"]
    forms = [resolved(form) for form in rows.get("anyOf", [rows])]
    names = {name for form in forms for name in form["properties"]}
    assert {"clip_id", "outcome", "emotion", "confidence", "channel", "start_s", "end_s"} <= names
    assert all(form.get("examples") or form.get("example") for form in forms)
    [told] = document["webhooks"].values()
    body = told["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["examples"]
    assert set(client.get(f"/v1/jobs/{made.job}").json()) <= set(resolved(body["schema"])["properties"])


@pytest.mark.parametrize(
    ("state", "complete"), [("running", "false"), ("done", "true"), ("cancelled", "false")]
)
def test_an_export_says_whether_the_job_has_ended(
    client: TestClient, settings: Settings, made: Made, state: str, complete: str
) -> None:
    set_row(Database(settings.database_url), job, made.job, state=state)
    answer = client.get(f"/v1/jobs/{made.job}/export")
    assert (answer.headers["Voxmood-Job-State"], answer.headers["Voxmood-Complete"]) == (state, complete)
