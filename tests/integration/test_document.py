"""The API does what its OpenAPI document says, whatever it is asked: no answer is an error of the server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app
from shared.core.settings import Settings
from shared.database.sessions import Database
from shared.stack.ports import LOOPBACK
from tests.children import free_ports, running_program, wait_until_ready
from tests.servers import Store

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture
def api_url(tmp_path: Path, store: Store, valkey: str, database: Database) -> Iterator[str]:
    """The address of an API process with a store, a queue and a database of its own, and no workers."""
    with free_ports("api") as ports:
        environment = {
            **store.environment,
            "VOXMOOD_BROKER_URL": valkey,
            "VOXMOOD_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "VOXMOOD_API_PORT": str(ports["api"]),
        }
        url = f"http://{LOOPBACK}:{ports['api']}"
        with running_program([sys.executable, "-m", "api.app"], tmp_path, environment):
            live = f"{url}/health/live"
            wait_until_ready(
                lambda: httpx.get(live, trust_env=False).raise_for_status(), httpx.HTTPError, tmp_path
            )
            yield url


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\u2028", "\U0010ffff", "'; DROP TABLE job; --"])
def test_odd_texts_are_kept_or_refused(
    database: Database, store: Store, valkey: str, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    address = database.url.render_as_string(hide_password=False)
    settings = Settings(database_url=address, broker_url=SecretStr(valkey))
    app = create_app(settings)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        job = client.post("/v1/jobs", json={}).json()["id"]
        name = quote(text, safe="")
        answers = [
            client.post("/v1/jobs", json={"name": text}),
            client.put(f"/v1/jobs/{job}/uploads/{name}", content=b"ID3" + bytes(100)),
            client.get(f"/v1/jobs/{job}/uploads/{name}"),
            client.get(f"/v1/jobs/{job}/results", params={"path_prefix": text}),
            client.post("/v1/labels", json=[{"clip_id": 1, "emotion": text, "speaker": text}]),
        ]
    assert all(answer.status_code < 500 for answer in answers), [answer.text for answer in answers]


@pytest.mark.parametrize(
    ("empty_database", "examples"),
    [
        ("postgresql", 8),
        pytest.param("postgresql", 100, marks=pytest.mark.long),
        pytest.param("sqlite", 100, marks=pytest.mark.long),
    ],
    indirect=["empty_database"],
)
def test_no_request_that_the_document_allows_or_forbids_is_a_server_error(
    api_url: str, tmp_path: Path, examples: int
) -> None:
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{api_url}/v1/openapi.json"]
    options = [f"--checks={CHECKS}", "--seed=4", f"--max-examples={examples}", "--generation-database=none"]
    # Without workers it is 503, as it should be.
    left_out = ["--exclude-path=/health/ready"]
    done = subprocess.run(
        [*command, *options, *left_out], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
