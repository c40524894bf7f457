"""Labels through the API on both databases: which are stored, which are refused, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from shared.core.settings import Settings
from shared.database import labels
from shared.database.sessions import Database
from shared.database.tables import clip, job, label
from tests.integration.builders import Made, make_job, row_of, set_row


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    """The API in this process; labels take neither store nor queue."""
    url = database.url.render_as_string(hide_password=False)
    with TestClient(
        create_app(Settings(database_url=url)), "http://localhost", raise_server_exceptions=False
    ) as made:
        yield made


@pytest.fixture
def made(database: Database) -> Made:
    return make_job(database, clips=4)


def stored(database: Database) -> list[tuple[int, str, str, str | None]]:
    with database.read() as connection:
        rows = connection.execute(select(label).order_by(label.c.clip_id, label.c.labeller)).all()
    return [(row.clip_id, row.labeller, row.emotion, row.speaker) for row in rows]


def test_labels_are_stored_and_wrong_ones_refused_each_with_its_reason(
    client: TestClient, database: Database, made: Made
) -> None:
    first, second, broken, _ = made.clips
    set_row(database, clip, broken, shard_id=None, error_code="encrypted", error="x")
    answer = client.post("/v1/labels", json=[
        {"clip_id": first, "emotion": "angry", "labeller": "anna", "speaker": "07"},
        {"clip_id": 10**9, "emotion": "angry"},
        {"clip_id": second, "emotion": "bored"},
        {"clip_id": second, "emotion": "sad"},
        {"clip_id": broken, "emotion": "sad"},
    ])  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.json()["stored"] == 2
    assert [(one["place"], one["clip_id"]) for one in answer.json()["refused"]] == [
        (1, 10**9), (2, second), (4, broken)
    ]  # fmt: skip
    reasons = [one["reason"] for one in answer.json()["refused"]]
    codes = [one["code"] for one in answer.json()["refused"]]
    assert codes == ["unknown_clip", "unknown_emotion", "no_recording"]
    assert reasons[0] == f"there is no clip {10**9}"
    assert "'bored' is no emotion of the champion or its unknowns: angry, calm, " in reasons[1]
    assert "surprised" in reasons[1]
    assert reasons[2] == f"clip {broken} has no recording: it could not be taken out of its archive"
    assert stored(database) == [(first, "anna", "angry", "07"), (second, "", "sad", None)]


def test_a_labeller_s_second_label_replaces_the_first_and_others_keep_theirs(
    client: TestClient, database: Database, made: Made
) -> None:
    one = made.clips[0]
    for emotion, labeller in (("angry", "anna"), ("calm", "bert"), ("happy", "anna")):
        body = [{"clip_id": one, "emotion": emotion, "labeller": labeller}]
        assert client.post("/v1/labels", json=body).json() == {"stored": 1, "refused": []}
    twice = [{"clip_id": one, "emotion": emotion, "labeller": "carl"} for emotion in ("sad", "neutral")]
    assert client.post("/v1/labels", json=twice).status_code == 200
    assert [(who, what) for _, who, what, _ in stored(database)] == [
        ("anna", "happy"), ("bert", "calm"), ("carl", "neutral")
    ]  # fmt: skip


def test_a_list_of_which_nothing_can_be_stored_is_a_problem(client: TestClient, made: Made) -> None:
    wrong = [{"clip_id": made.clips[0], "emotion": "Angry"}, {"clip_id": 99_999, "emotion": "sad"}]
    answer = client.post("/v1/labels", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["code"] == "no_label_stored"
    assert answer.json()["detail"].startswith(
        "None of the 2 labels could be stored. The first: 'Angry' is no"
    )
    for body in ([], [{"clip_id": 0, "emotion": "sad"}], [{"emotion": "sad"}]):
        assert client.post("/v1/labels", json=body).json()["code"] == "invalid_request"
    many = [{"clip_id": made.clips[0], "emotion": "sad"}] * 10_001
    assert client.post("/v1/labels", json=many).status_code == 422


def test_ten_thousand_labels_are_one_request(client: TestClient, database: Database, made: Made) -> None:
    body = [{"clip_id": made.clips[n % 4], "emotion": "sad", "labeller": str(n)} for n in range(10_000)]
    assert client.post("/v1/labels", json=body).json()["stored"] == 10_000
    assert len(stored(database)) == 10_000


def test_a_job_that_is_being_deleted_takes_no_labels_and_gives_none(
    client: TestClient, database: Database, made: Made
) -> None:
    body = [{"clip_id": made.clips[0], "emotion": "sad"}]
    assert client.post("/v1/labels", json=body).status_code == 200
    set_row(database, job, made.job, state="deleting")
    assert client.post("/v1/labels", json=body).status_code == 422
    with database.read() as connection:
        assert labels.votes(connection, 10) == []


def test_votes_are_the_newest_and_a_duplicate_s_lie_on_its_original(
    client: TestClient, database: Database, made: Made
) -> None:
    first, second, third, twin = made.clips
    original = row_of(database, clip, first)
    set_row(database, clip, twin, duplicate_of=first, sha256=original.sha256, shard_id=None)
    for clip_id, emotion in ((second, "sad"), (third, "calm"), (twin, "angry")):
        answer = client.post("/v1/labels", json=[{"clip_id": clip_id, "emotion": emotion}])
        assert answer.status_code == 200, answer.text
    with database.read() as connection:
        rows = labels.votes(connection, 2)
        assert labels.newly_labelled(connection) == 3
    assert [(row.clip_id, row.emotion) for row in rows] == [(third, "calm"), (first, "angry")]
    assert (rows[1].sha256, rows[1].path) == (original.sha256, original.path)


def labelled(client: TestClient, clip_id: int, emotion: str, labeller: str = "") -> None:
    body = [{"clip_id": clip_id, "emotion": emotion, "labeller": labeller}]
    assert client.post("/v1/labels", json=body).status_code == 200


def test_labels_are_listed_by_pages_of_a_job_a_clip_or_a_labeller(
    client: TestClient, database: Database, made: Made
) -> None:
    other = make_job(database, clips=1)
    for clip_id, labeller in ((made.clips[0], "anna"), (other.clips[0], "anna"), (made.clips[0], "bert"),
                              (made.clips[2], "")):  # fmt: skip
        labelled(client, clip_id, "sad", labeller)
    first = client.get("/v1/labels", params={"job": made.job, "limit": 2}).json()
    assert [(one["clip_id"], one["labeller"]) for one in first["labels"]] == [
        (made.clips[0], "anna"), (made.clips[0], "bert")
    ]  # fmt: skip
    assert first["labels"][0] | {"id": 0, "created_at": ""} == {
        "id": 0, "job_id": made.job, "clip_id": made.clips[0], "path": "0.wav", "upload": "a.zip",
        "emotion": "sad", "speaker": None, "labeller": "anna", "created_at": ""
    }  # fmt: skip
    second = client.get("/v1/labels", params={"job": made.job, "limit": 2, "after": first["next"]}).json()
    assert [one["path"] for one in second["labels"]] == ["2.wav"]
    assert second["next"] is None

    def count(**asked: object) -> int:
        return len(client.get("/v1/labels", params=asked).json()["labels"])

    assert [count(), count(labeller="anna"), count(clip_id=made.clips[0]), count(path="0.wav")] == [
        4,
        2,
        2,
        3,
    ]
    assert client.get("/v1/labels", params={"job": 10**9}).json()["code"] == "unknown_job"


def test_deleted_labels_are_those_that_were_asked_for(
    client: TestClient, database: Database, made: Made
) -> None:
    other = make_job(database, clips=1)
    for clip_id in (*made.clips[:3], *other.clips):
        for labeller in ("anna", "bert"):
            labelled(client, clip_id, "sad", labeller)

    def deleted(**asked: object) -> int:
        return int(client.delete("/v1/labels", params=asked).json()["deleted"])

    assert client.delete("/v1/labels").json()["code"] == "labels_unnamed"
    assert client.delete("/v1/labels", params={"labeller": "anna"}).status_code == 422
    assert len(stored(database)) == 8
    assert deleted(job=made.job, labeller="anna", path="1.wav") == 1
    assert deleted(clip_id=made.clips[0]) == 2
    assert deleted(clip_id=made.clips[0]) == 0
    assert deleted(job=made.job) == 3
    assert {clip_id for clip_id, *_ in stored(database)} == set(other.clips)


def test_the_agreement_of_labellers_is_told_of_a_job_or_of_all(
    client: TestClient, database: Database
) -> None:
    made, other = make_job(database, clips=3), make_job(database, clips=1)
    first, second, third = made.clips
    (of_other,) = other.clips
    said = [(first, "anna", "sad"), (second, "anna", "calm"), (third, "anna", "calm"), (first, "ben", "sad"),
            (second, "ben", "sad"), (of_other, "anna", "sad"), (of_other, "ben", "calm")]  # fmt: skip
    body = [{"clip_id": clip_id, "labeller": who, "emotion": what} for clip_id, who, what in said]
    assert client.post("/v1/labels", json=body).json()["stored"] == 7
    told = client.get("/v1/labels/agreement", params={"job": made.job}).json()
    assert told == {"labellers": 2, "clips": 2, "disputed": 1, "kappa": 0.0}
    told = client.get("/v1/labels/agreement").json()
    assert (told["clips"], told["disputed"]) == (3, 2)
    assert client.get("/v1/labels/agreement", params={"job": 99}).status_code == 404
    told = client.get("/v1/labels/agreement", params={"job": other.job, "labeller": "x"}).json()
    assert (told["clips"], told["kappa"]) == (0, None)
