"""Who gets in, and what each may see: every route of the API with keys of every kind, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import select

from api import clips, health, jobs, labels, lifecycle, models, results, uploads
from api.access import FREE, Needs
from shared.core import api_keys as keys
from shared.database import keys as stored_keys
from shared.database import labels as labels_of_people
from shared.database.labels import NewLabel
from shared.database.sessions import Database
from shared.database.tables import api_key, job
from tests.integration.asking import app_client, bearer, made_key
from tests.integration.builders import add_prediction, make_job, row_of, set_row
from tests.waiting import wait_for

ROUTES: list[APIRoute] = [
    route
    for module in (jobs, lifecycle, uploads, results, clips, labels, models, health)
    for route in module.router.routes
    if isinstance(route, APIRoute)
]
V1 = [route for route in ROUTES if route.path.startswith("/v1")]
OF_ONE_JOB = [route for route in V1 if "{job_id}" in route.path or "{clip_id}" in route.path]
BODIES: dict[str, Any] = {
    "POST /v1/jobs": {},
    "POST /v1/jobs/{job_id}/uploads": {"name": "b.zip", "bytes": 9},
    "POST /v1/jobs/{job_id}/sources": {"url": "s3://tapes/"},
    "POST /v1/jobs/{job_id}/reclassify": {"model": "seed-v6"},
    "POST /v1/labels": [{"clip_id": 1, "emotion": "calm"}],
}


def name_of(route: APIRoute) -> str:
    return f"{next(iter(route.methods))} {route.path}"


def scopes_of(route: APIRoute) -> set[str]:
    """The scopes of which a route needs one, as its dependencies say."""
    needs, waiting = set(), [route.dependant]
    while waiting:
        one = waiting.pop()
        waiting += one.dependencies
        needs |= {one.call} if isinstance(one.call, Needs) else set()
    assert len(needs) == 1, f"{name_of(route)} names {len(needs)} needs"
    return {*needs.pop().scopes, "admin"}


def ask(client: TestClient, route: APIRoute, key: str | None, job_id: int, clip_id: int) -> httpx.Response:
    path = route.path.replace("{name:path}", "a.zip").format(job_id=job_id, clip_id=clip_id, version="v8")
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    body = BODIES.get(name_of(route))
    return client.request(next(iter(route.methods)), path, json=body, headers=headers)


def store_label(database: Database, clip_id: int) -> None:
    with database.write() as connection:
        labels_of_people.store_labels(connection, database, [NewLabel(clip_id, "sad", None, "")])


@pytest.fixture
def keyed(database: Database) -> Iterator[TestClient]:
    """An API that asks for keys, on each database."""
    with app_client(database, require_key=True) as client:
        yield client


def test_every_route_under_v1_names_the_scope_that_it_needs() -> None:
    assert len(V1) >= 16
    assert all(scopes_of(route) <= set(keys.Scope) for route in V1)
    assert {name_of(route) for route in V1 if scopes_of(route) == {"admin"}} == {
        "POST /v1/retrain", "POST /v1/models/{version}/promote", "POST /v1/models/rollback",
        "POST /v1/models/freeze",
    }  # fmt: skip
    assert {route.path for route in ROUTES} - {route.path for route in V1} <= set(FREE)


def test_no_route_answers_without_a_key_with_a_wrong_one_or_with_one_that_lacks_the_scope(
    keyed: TestClient, database: Database
) -> None:
    made = make_job(database)
    given = {scope: made_key(database, scope)[1] for scope in keys.Scope}
    revoked_id, revoked = made_key(database, *keys.Scope)
    _, expired = made_key(database, *keys.Scope, expires_s=-1)
    with database.write() as connection:
        assert stored_keys.revoke(connection, database, revoked_id)
    wrong = {None: "key_needed", "vm_x": "malformed_key", given["read"][:-1] + "!": "malformed_key",
             keys.new_key(): "unknown_key", revoked: "unknown_key", expired: "key_expired"}  # fmt: skip
    for route in V1:
        for key, code in wrong.items():
            answer = ask(keyed, route, key, made.job, made.clips[0])
            assert (answer.status_code, answer.json()["code"]) == (401, code), name_of(route)
            assert answer.headers["www-authenticate"] == "Bearer"
        for scope, key in given.items():
            answer = ask(keyed, route, key, 10**9, 10**9)
            if scope in scopes_of(route):
                assert answer.status_code not in (401, 403) or answer.json()["code"] == "source_refused"
            elif answer.status_code != 404:  # an unknown job is that to everybody
                assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), name_of(route)
                assert f"yours has {scope}" in answer.json()["detail"]


def test_scopes_are_looked_at_on_one_s_own_jobs_too(keyed: TestClient, database: Database) -> None:
    key_id, key = made_key(database, "label")
    made = make_job(database, key_id=key_id)
    for route in OF_ONE_JOB:
        answer = ask(keyed, route, key, made.job, made.clips[0])
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), name_of(route)


def test_another_key_s_job_is_like_one_that_is_not_there(keyed: TestClient, database: Database) -> None:
    mine, my_key = made_key(database, "submit", "read", "label")
    _, other_key = made_key(database, "submit", "read", "label")
    made, keyless = make_job(database, key_id=mine), make_job(database)
    for foreign, key in ((made, other_key), (keyless, my_key)):
        for route in OF_ONE_JOB:
            theirs = ask(keyed, route, key, foreign.job, foreign.clips[0])
            nobody_s = ask(keyed, route, key, 987_654, 987_654)
            assert theirs.status_code == nobody_s.status_code == 404, name_of(route)
            number = foreign.clips[0] if "{clip_id}" in route.path else foreign.job
            said, expected = theirs.json(), nobody_s.json()
            assert said.pop("request_id") != expected.pop("request_id")
            expected["detail"] = expected["detail"].replace("987654", str(number))
            assert said == expected, name_of(route)
        body = [{"clip_id": foreign.clips[0], "emotion": "calm"}]
        answer = keyed.post("/v1/labels", json=body, headers=bearer(key))
        assert answer.json()["refused"][0]["reason"] == f"there is no clip {foreign.clips[0]}"
        store_label(database, foreign.clips[0])
        mine_only = keyed.get("/v1/labels", params={"clip_id": foreign.clips[0]}, headers=bearer(key))
        assert mine_only.json()["labels"] == []
        for method in ("GET", "DELETE"):
            answer = keyed.request(method, "/v1/labels", params={"job": foreign.job}, headers=bearer(key))
            assert answer.json()["code"] == "unknown_job"
        gone = keyed.delete("/v1/labels", params={"clip_id": foreign.clips[0]}, headers=bearer(key))
        assert gone.json() == {"deleted": 0}
    assert row_of(database, job, made.job).state == "running"  # nobody cancelled or deleted it


def test_a_list_has_one_s_own_jobs_and_an_administrator_s_has_all(
    keyed: TestClient, database: Database
) -> None:
    first, first_key = made_key(database, "read")
    second, second_key = made_key(database, "submit", "read", "label")
    _, admin_key = made_key(database, "admin")
    made = {key_id: make_job(database, key_id=key_id) for key_id in (first, second, None)}
    add_prediction(database, made[first].clips[0], made[first].unit, "no_voice", "seed-v6")

    def listed(key: str) -> set[int]:
        return {one["id"] for one in keyed.get("/v1/jobs", headers=bearer(key)).json()["jobs"]}

    assert listed(first_key) == {made[first].job}
    assert listed(second_key) == {made[second].job}
    assert listed(admin_key) == {one.job for one in made.values()}
    for key in (first_key, admin_key):
        rows = keyed.get(f"/v1/jobs/{made[first].job}/results", headers=bearer(key)).json()["results"]
        assert [row["outcome"] for row in rows] == ["no_voice"]
    with database.write() as connection:
        stored_keys.revoke(connection, database, first)
    assert keyed.get("/v1/jobs", headers=bearer(first_key)).status_code == 401
    assert listed(admin_key) == {one.job for one in made.values()}


def test_two_keys_may_use_the_same_idempotency_key_and_learn_nothing_of_each_other(
    keyed: TestClient, database: Database
) -> None:
    given = [made_key(database, "submit")[1] for _ in range(2)]

    def create(key: str, name: str) -> httpx.Response:
        headers = {**bearer(key), "Idempotency-Key": "same"}
        return keyed.post("/v1/jobs", json={"name": name}, headers=headers)

    first, other, again = create(given[0], "a"), create(given[1], "b"), create(given[0], "a")
    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]
    assert create(given[1], "a").json()["code"] == "key_used_again"


def test_the_last_use_of_a_key_is_written_beside_the_requests(keyed: TestClient, database: Database) -> None:
    key_id, key = made_key(database, "read")
    assert row_of(database, api_key, key_id).last_used_at is None
    keyed.get("/v1/jobs", headers=bearer(key))
    wait_for(lambda: row_of(database, api_key, key_id).last_used_at)
    used = row_of(database, api_key, key_id).last_used_at
    keyed.get("/v1/jobs", headers=bearer(key))
    assert row_of(database, api_key, key_id).last_used_at == used  # within the same minute


def test_no_key_is_stored_in_clear(keyed: TestClient, database: Database) -> None:
    _, key = made_key(database, "read")
    with database.read() as connection:
        row = connection.execute(select(api_key)).mappings().one()
    assert key[11:] not in repr(dict(row))
    assert row["digest"] == keys.digest(key)


def test_a_key_has_so_many_open_jobs_and_another_key_as_many(database: Database) -> None:
    _, first = made_key(database, "submit")
    _, second = made_key(database, "submit")
    with app_client(database, require_key=True, key_max_jobs=2) as client:
        made = [client.post("/v1/jobs", json={}, headers=bearer(first)) for _ in range(3)]
        assert [one.status_code for one in made] == [201, 201, 429]
        assert "VOXMOOD_KEY_MAX_JOBS" in made[2].json()["detail"]
        assert client.post("/v1/jobs", json={}, headers=bearer(second)).status_code == 201
        path = f"/v1/jobs/{made[0].json()['id']}"
        assert client.post(f"{path}/cancel", headers=bearer(first)).status_code == 200
        assert client.post("/v1/jobs", json={}, headers=bearer(first)).status_code == 201
        again = client.post(f"{path}/retry", headers=bearer(first))
        assert (again.status_code, again.json()["code"]) == (429, "too_many_jobs")
        set_row(database, job, made[1].json()["id"], state="done")
        assert client.post(f"{path}/retry", headers=bearer(first)).status_code == 200


def test_parallel_requests_do_not_get_a_key_over_its_limit(database: Database) -> None:
    _, key = made_key(database, "submit")
    with app_client(database, require_key=True, key_max_jobs=3) as client, ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: client.post("/v1/jobs", json={}, headers=bearer(key)), range(16))
        assert sorted(one.status_code for one in answers) == [201] * 3 + [429] * 13
