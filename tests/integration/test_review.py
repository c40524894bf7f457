"""Which clips are reviewed, and that the labels of those drawn at random estimate a job's accuracy."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert, select

from shared.core.settings import Settings
from shared.core.states import Outcome
from shared.database import deletion
from shared.database import review as statements
from shared.database.review import ReviewedClip
from shared.database.sessions import Database
from shared.database.tables import job, label, review_sample, segment
from shared.jobs import review
from tests.integration.builders import Made, add_prediction, make_job, set_row

VERSION, THRESHOLD = "seed-v6", 0.6


def answered(database: Database, confidences: list[float], **values: Any) -> Made:
    """A job that has ended; each clip is angry with this confidence, or calm."""
    made = make_job(database, len(confidences), **values)
    for clip_id, confidence in zip(made.clips, confidences, strict=True):
        classified = confidence >= THRESHOLD
        add_prediction(
            database, clip_id, made.unit, Outcome.CLASSIFIED if classified else Outcome.REJECTED, VERSION,
            emotion="angry" if classified else None, confidence=confidence, threshold=THRESHOLD,
            probabilities={"angry": confidence, "calm": round(1 - confidence, 6)},
        )  # fmt: skip
    set_row(database, job, made.job, state="done")
    return made


def say(database: Database, clip_id: int, emotion: str, labeller: str = "") -> None:
    """A label."""
    values = {"clip_id": clip_id, "emotion": emotion, "labeller": labeller, "created_at": database.clock}
    with database.write() as connection:
        connection.execute(insert(label).values(values))


def sample_of(database: Database, job_id: int) -> list[int]:
    """The clips of a job's sample."""
    statement = select(review_sample.c.clip_id).where(review_sample.c.job_id == job_id)
    with database.read() as connection:
        return list(connection.execute(statement.order_by(review_sample.c.number)).scalars())


def asked(database: Database, made: Made, limit: int = 100) -> list[tuple[int, str]]:
    """Which clips are to be reviewed, as places in the job, and why."""
    rows = review.worth_a_label(database, made.job, VERSION, limit)
    return [(made.clips.index(row.clip_id), row.reason) for row in rows]


def test_the_sample_is_drawn_once_of_all_clips_with_an_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "SAMPLE_CLIPS", 20)
    made = answered(database, [0.3 + 0.01 * n for n in range(40)])
    failed = make_job(database, 1)
    add_prediction(database, failed.clips[0], failed.unit, Outcome.FAILED, VERSION)
    first = asked(database, made, 50)
    drawn = sample_of(database, made.job)
    assert len(set(drawn)) == 20
    assert drawn != made.clips[:20], "one of 10^11 draws is the first twenty"
    assert {made.clips[place] for place, why in first if why == "random"} <= set(drawn)
    assert asked(database, made, 50) == first
    assert sample_of(database, made.job) == drawn
    assert review.worth_a_label(database, failed.job, VERSION, 50) == []


def test_clips_next_to_the_threshold_come_the_nearest_first_and_labelled_ones_not_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "RANDOM_SHARE", 0)
    made = answered(database, [0.2, 0.595, 0.61, 0.95, 0.57, 0.64])
    assert asked(database, made, 4) == [(place, "near_threshold") for place in (1, 2, 4, 5)]
    say(database, made.clips[2], "angry")
    assert [place for place, _ in asked(database, made, 4)] == [1, 4, 5, 3]


def test_clips_on_which_versions_or_windows_disagree_are_asked_about(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "RANDOM_SHARE", 0)
    made = answered(database, [0.9, 0.9, 0.9, 0.6])
    for place, emotion in ((0, "angry"), (1, "calm")):
        add_prediction(
            database, made.clips[place], made.unit, Outcome.CLASSIFIED, "v8",
            emotion=emotion, confidence=0.9, threshold=THRESHOLD, probabilities={emotion: 0.9},
        )  # fmt: skip
    with database.write() as connection:
        for number, emotion in enumerate(("angry", "calm")):
            connection.execute(insert(segment).values(
                clip_id=made.clips[2], model_version=VERSION, number=number, channel=0, start_s=number,
                end_s=number + 1, outcome="classified", emotion=emotion, confidence=0.9,
            ))  # fmt: skip
    assert asked(database, made)[:2] == [(1, "versions_disagree"), (2, "windows_disagree")]
    assert [place for place, _ in asked(database, made)][2:] == [3, 0], "each clip once"


def test_the_estimate_is_of_the_sample_alone_and_of_what_most_labellers_say(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "SAMPLE_CLIPS", 4)
    made = answered(database, [0.9, 0.8, 0.3, 0.7, 0.9, 0.9])
    with database.write() as connection:
        rows = [{"job_id": made.job, "number": n, "clip_id": made.clips[n]} for n in range(4)]
        connection.execute(insert(review_sample), rows)
    with database.read() as connection:
        assert review.accuracies(connection, {made.job: VERSION}) == {}
    say(database, made.clips[0], "angry")
    say(database, made.clips[1], "calm")
    say(database, made.clips[2], "calm", "anna")  # rejected, and its best guess is right
    say(database, made.clips[3], "calm", "anna")
    say(database, made.clips[3], "angry", "ben")  # nobody knows
    say(database, made.clips[4], "sad")  # not of the sample
    with database.read() as connection:
        told = review.accuracies(connection, {made.job: VERSION})[made.job]
    assert told.reviewed == 3
    assert told.all is not None
    assert told.accepted is not None
    assert (told.all.clips, told.all.share) == (3, pytest.approx(2 / 3))
    assert (told.accepted.clips, told.accepted.share) == (2, 0.5)
    assert told.accepted.low < 0.1
    assert told.accepted.high > 0.9
    say(database, made.clips[3], "calm", "cleo")
    with database.read() as connection:
        assert review.accuracies(connection, {made.job: VERSION})[made.job].reviewed == 4


def test_no_agreed_label_is_no_estimate() -> None:
    rows = [ReviewedClip(1, 1, Outcome.REJECTED, {"calm": 0.5, "sad": 0.4}, said) for said in ("calm", "sad")]
    assert review.accuracy_of(rows) is None
    assert review.accuracy_of([]) is None


def test_a_deleted_job_leaves_no_sample(database: Database) -> None:
    made = answered(database, [0.9, 0.4])
    asked(database, made)
    say(database, made.clips[0], "calm")
    assert len(sample_of(database, made.job)) == 2
    deletion.erase_rows(database, made.job)
    assert sample_of(database, made.job) == []


def test_the_api_tells_what_to_review_and_the_job_how_often_it_is_right(
    client: TestClient, settings: Settings
) -> None:
    database = Database(settings.database_url)
    made = answered(database, [0.9, 0.4, 0.65])
    told = client.get(f"/v1/jobs/{made.job}/review", params={"limit": 10}).json()
    assert told["accuracy"] is None
    by_id = {one["clip_id"]: one for one in told["clips"]}
    assert by_id.keys() == set(made.clips)
    assert (by_id[made.clips[1]]["best_guess"], by_id[made.clips[1]]["outcome"]) == ("calm", "rejected")
    assert client.get(f"/v1/jobs/{made.job}").json()["accuracy"] is None
    labels = [{"clip_id": clip_id, "emotion": "angry"} for clip_id in made.clips]
    assert client.post("/v1/labels", json=labels).json()["stored"] == 3
    told = client.get(f"/v1/jobs/{made.job}/review").json()
    assert told["clips"] == []
    assert (told["accuracy"]["all"]["share"], told["accuracy"]["accepted"]["share"]) == (
        pytest.approx(2 / 3), 1.0
    )  # fmt: skip
    assert client.get(f"/v1/jobs/{made.job}").json()["accuracy"] == told["accuracy"]
    assert client.get("/v1/jobs").json()["jobs"][0]["accuracy"] == told["accuracy"]

    set_row(database, job, made.job, state="running")
    refused = client.get(f"/v1/jobs/{made.job}/review")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_job_state")
    assert client.get("/v1/jobs/99/review").status_code == 404
    set_row(database, job, made.job, state="done")
    assert client.get(f"/v1/jobs/{made.job}/review", params={"model": "none"}).status_code == 404
    database.close()
