"""`voxmood submit` against a server that fails, refuses, or is away, and submits that died in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from shared.core.errors.infrastructure import StoreUnavailable
from shared.core.settings import Settings
from shared.database.sessions import Database
from shared.database.tables import job, upload
from shared.stack.ports import LOOPBACK
from shared.store.objects import Storage
from tests.archive_builders import zip_of
from tests.servers import Store
from voxmood.cli import submit
from voxmood.client import Client
from voxmood.errors import RequestRefused, ServerUnreachable

# The requests of a submit, by their method and how their path ends.
STEPS = {"add_source": ("POST", "/sources"), "put_upload": ("PUT", "/tapes.zip"), "start": ("POST", "/start")}


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    """An API in this process."""
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def client(api: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The command's client of that API, with a state folder of its own and no long waits."""
    monkeypatch.setenv("VOXMOOD_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("time.sleep", lambda _: None)
    return Client(f"http://{LOOPBACK}", http=api)


def answer_otherwise(
    monkeypatch: pytest.MonkeyPatch, api: TestClient, step: str, answer: Callable[[], httpx.Response]
) -> None:
    """Have a proxy answer a step's request."""
    send = api.request

    def request(method: str, path: str, **options: object) -> httpx.Response:
        wanted, ending = STEPS[step]
        return answer() if method == wanted and path.endswith(ending) else send(method, path, **options)

    monkeypatch.setattr(api, "request", request)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    path = tmp_path / "tapes.zip"
    path.write_bytes(zip_of({"a.wav": b"RIFF" + bytes(100)}))
    return str(path)


def jobs_of(settings: Settings) -> list[tuple[int, str]]:
    with Database(settings.database_url).read() as connection:
        return [(row.id, row.state) for row in connection.execute(select(job.c.id, job.c.state))]


def fails(*_: object, **__: object) -> None:
    raise StoreUnavailable(endpoint="http://store", reason="planted")


def test_a_server_that_fails_for_a_moment_is_asked_again(
    client: Client,
    settings: Settings,
    archive: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put, tries = Storage.put, []

    def fails_once(self: Storage, key: str, content: bytes) -> None:
        tries.append(key)
        if len(tries) == 1:
            fails()
        put(self, key, content)

    monkeypatch.setattr(Storage, "put", fails_once)
    number = submit.submit_paths(client, [archive], wait=False)
    said = " ".join(capsys.readouterr().err.split())
    assert "The object store does not answer at http://store. Trying again in 1 s." in said
    assert jobs_of(settings) == [(number, "running")]


def test_after_a_server_that_fails_for_long_the_same_submit_goes_on_with_its_job(
    client: Client, settings: Settings, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put", fails)
        with pytest.raises(RequestRefused, match="The object store does not answer"):
            submit.submit_paths(client, [archive], wait=False)
    [(number, state)] = jobs_of(settings)
    assert state == "open"
    assert submit.submit_paths(client, [archive], wait=False) == number
    assert jobs_of(settings) == [(number, "running")]


@pytest.mark.parametrize("moment", ["add_source", "put_upload", "start"])
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_keeps_the_job_at_every_step(
    api: TestClient,
    client: Client,
    settings: Settings,
    archive: str,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    status: int,
) -> None:
    """A proxy's answer is no problem document: it has its status alone."""
    answer_otherwise(monkeypatch, api, moment, lambda: httpx.Response(status, text="no"))
    paths = [archive, "s3://tapes/none"] if moment == "add_source" else [archive]
    with pytest.raises(RequestRefused, match=f"The server answered {status}"):
        submit.submit_paths(client, paths, wait=False)
    assert [state for _, state in jobs_of(settings)] == ["open"]


def test_a_refused_submit_leaves_no_job(client: Client, settings: Settings, archive: str) -> None:
    with pytest.raises(RequestRefused, match="s3://elsewhere"):
        submit.submit_paths(client, [archive, "s3://elsewhere/tapes"], wait=False)
    assert [state for _, state in jobs_of(settings)] in ([], ["deleting"])


def test_a_submit_of_a_bucket_that_died_takes_each_object_once_when_it_is_repeated(
    store: Store,
    api: TestClient,
    client: Client,
    settings: Settings,
    archive: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outside = store.client()
    with suppress(ClientError):  # another test may have made it
        outside.create_bucket(Bucket="tapes")
    for name in ("1.zip", "2.zip"):
        outside.put_object(Bucket="tapes", Key=f"a/{name}", Body=Path(archive).read_bytes())
    paths = ["s3://tapes/a/", archive]

    def dies() -> httpx.Response:
        raise httpx.ConnectError("planted")

    with monkeypatch.context() as patch:
        answer_otherwise(patch, api, "put_upload", dies)
        with pytest.raises(ServerUnreachable):
            submit.submit_paths(client, paths, wait=False)
    [(number, state)] = jobs_of(settings)
    assert state == "open"
    assert submit.submit_paths(client, paths, wait=False) == number
    with Database(settings.database_url).read() as connection:
        names = connection.execute(select(upload.c.name).where(upload.c.job_id == number)).scalars()
        assert sorted(names) == ["a/1.zip", "a/2.zip", "tapes.zip"]
