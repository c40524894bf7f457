"""The promise that no request without a valid key gets in, on real processes, with `voxmood keys`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from shared.core import api_keys as keys
from shared.database import upgrade
from shared.database.sessions import Database
from tests.acceptance.jobs import Api
from tests.archive_builders import zip_of
from tests.children import free_ports, running_program, wait_until_ready
from tests.stacks import VOXMOOD, Stack

PLACES = [("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", "/v1/jobs/1"), ("PUT", "/v1/jobs/1/uploads/a"),
          ("POST", "/v1/jobs/1/start"), ("DELETE", "/v1/jobs/1"), ("GET", "/v1/jobs/1/export"),
          ("GET", "/v1/clips/1/audio"), ("POST", "/v1/labels"), ("GET", "/v1/models"),
          ("POST", "/v1/retrain"), ("GET", "/v1/nothing"), ("GET", "/nothing")]  # fmt: skip


def codes(http: httpx.Client, headers: dict[str, str]) -> set[tuple[int, str]]:
    """What each place answers."""
    answers = [http.request(method, path, headers=headers, content=b"PK") for method, path in PLACES]
    return {(answer.status_code, answer.json()["code"]) for answer in answers}


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    """An API process that listens on all addresses, and the environment of its machine."""
    folder = tmp_path_factory.mktemp("public")
    upgrade.upgrade(Database(f"sqlite:///{folder / 'voxmood.db'}"))
    with free_ports("api") as ports:
        own = {
            "VOXMOOD_STATE": str(folder),
            "VOXMOOD_API_HOST": "0.0.0.0",
            "VOXMOOD_API_PORT": str(ports["api"]),
            "VOXMOOD_REQUIRE_KEY": "false",
        }
        with (
            running_program([sys.executable, "-m", "api.app"], folder, own),
            httpx.Client(base_url=f"http://127.0.0.1:{ports['api']}", trust_env=False, timeout=30) as client,
        ):
            wait_until_ready(lambda: client.get("/health/live").raise_for_status(), httpx.HTTPError, folder)
            assert "nobody has an API key yet" in (folder / "log").read_text()
            yield client, {**os.environ, **own, "COLUMNS": "400"}


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [VOXMOOD, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_no_request_without_a_valid_key_gets_in_except_on_loopback_where_host_and_origin_are_checked(
    public: tuple[httpx.Client, dict[str, str]], api: Api
) -> None:
    http, environment = public
    assert codes(http, {}) == {(401, "key_needed")}
    assert codes(http, {"Host": "localhost", "X-Forwarded-For": "127.0.0.1"}) == {(401, "key_needed")}
    assert codes(http, {"Authorization": f"Bearer {keys.new_key()}"}) == {(401, "unknown_key")}
    made = command(environment, "keys", "create", "--name", "tests", "--scopes", "read")
    assert made.returncode == 0, made.stderr
    answer = http.get("/v1/jobs", headers={"Authorization": f"Bearer {made.stdout.strip()}"})
    assert (answer.status_code, answer.json()["jobs"]) == (200, [])
    # The one-machine default, of the whole stack.
    assert api.http.get("/v1/jobs").status_code == 200
    assert codes(api.http, {"Host": "rebound.example"}) == {(403, "foreign_host")}
    assert codes(api.http, {"Origin": "http://evil.example"}) == {(403, "foreign_origin")}
    assert codes(api.http, {"Sec-Fetch-Site": "cross-site"}) == {(403, "foreign_origin")}
    assert codes(api.http, {"Authorization": "Bearer vm_wrong"}) == {(401, "malformed_key")}


def test_keys_are_made_listed_and_revoked_by_the_command(
    public: tuple[httpx.Client, dict[str, str]], tmp_path: Path
) -> None:
    http, environment = public
    made = command(environment, "keys", "create", "--name", "Tapes", "--expires", "90d")
    key = made.stdout.strip()
    assert keys.is_key(key)
    assert key not in made.stderr
    with_key = {**environment, "VOXMOOD_API_KEY": key, "VOXMOOD_URL": str(http.base_url)}
    assert command(with_key, "jobs", "--json").returncode == 0
    refused = command(with_key, "retrain", "--now")
    assert refused.returncode == 1
    assert "This takes a key with the scope admin; yours has label, read, submit." in refused.stderr
    rows = [json.loads(line) for line in command(environment, "keys", "list", "--json").stdout.splitlines()]
    row = next(row for row in rows if row["name"] == "Tapes")
    assert (row["state"], row["scopes"], row["prefix"]) == ("valid", ["submit", "read", "label"], key[:11])
    table = command(environment, "keys", "list").stdout
    assert re.search(rf"{re.escape(key[:11])}\s+Tapes\s+submit read label\s+valid", table)
    assert key not in table
    assert command(environment, "keys", "revoke", str(row["id"])).returncode == 0
    refused = command(with_key, "jobs")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "This key is not known here, or it was revoked." in refused.stderr
    without = command({**with_key, "VOXMOOD_API_KEY": ""}, "jobs")
    assert "VOXMOOD_API_KEY" in without.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "--scopes", "write"), "'write' is no scope. Available: submit, read, label, admin."),
        (("create", "--scopes", ""), "'' is no scope."),
        (("create", "--expires", "soon"), "soon is no time to live: give hours, days or weeks"),
        (("revoke", "999999"), "There is no valid key 999999."),
        (("list", "--state", "/nonexistent"), "cannot hold keys yet"),
    ],
)
def test_what_the_command_cannot_do_it_says(
    public: tuple[httpx.Client, dict[str, str]], arguments: tuple[str, ...], sentence: str
) -> None:
    done = command(public[1], "keys", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr


@pytest.mark.long
def test_a_stack_that_asks_for_keys_has_a_page_with_a_key_of_its_own(
    new_stack: Callable[..., AbstractContextManager[Stack]], tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of({"a.wav": b"a"}))
    with new_stack("--workers", "1", VOXMOOD_API_HOST="0.0.0.0") as stack:
        again = stack.voxmood("up", "--detach")
        assert "nobody has one yet: `" in again.stderr
        assert "voxmood keys create` makes one" in again.stderr
        listed = [json.loads(line) for line in stack.voxmood("keys", "list", "--json").stdout.splitlines()]
        assert [(row["name"], row["state"]) for row in listed] == [("the page of voxmood up", "valid")]
        page_key = json.loads((stack.state / "credentials.json").read_text())["page_key"]
        assert listed[0]["prefix"] == page_key[:11]
        asked = httpx.get(f"{stack.api_url}/v1/jobs", headers={"Authorization": f"Bearer {page_key}"})
        assert asked.status_code == 200
        assert stack.voxmood("jobs").returncode == 1
        key = stack.voxmood("keys", "create").stdout.strip()
        with_key = {**stack.env, "VOXMOOD_API_KEY": key}
        done = stack.voxmood("submit", "--wait", str(tmp_path / "a.zip"), env=with_key)
        assert done.returncode == 0, done.stderr
        assert stack.voxmood("doctor", env=with_key).returncode == 0
        assert "nobody has one yet" not in stack.voxmood("up", "--detach").stderr
