"""Retraining: whose turn it is, on both databases; and labelled clips that become a candidate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import literal, select

from api.app import create_app
from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.errors.infrastructure import StoreUnavailable
from shared.core.settings import Settings
from shared.database import labels
from shared.database.labels import NewLabel
from shared.database.leasing import LeaseLost
from shared.database.sessions import Database
from shared.database.tables import alias, model, unit
from shared.database.tables import retraining as turns
from shared.jobs import retraining
from shared.jobs.doorbell import Doorbell, celery_app
from shared.models.data.datasets import Example
from shared.models.serving import registry
from shared.models.serving.classifier import Classifier
from tests.archive_builders import zip_of
from tests.integration.builders import make_job, row_of, set_row
from tests.integration.sending import clips_of, send
from workers.classify import classify
from workers.retrain import StoredRecordings, retrain
from workers.services import Services
from workers.unpack import unpack

DAY_S = 86_400.0
PROGRAM = "from workers.services import services; from workers.retrain import retrain; retrain(services())"


def add_label(database: Database, clip_id: int, emotion: str, labeller: str = "") -> None:
    with database.write() as connection:
        labels.store_labels(connection, database, [NewLabel(clip_id, emotion, "07", labeller)])


def candidate(database: Database) -> str | None:
    with database.read() as connection:
        statement = select(alias.c.version).where(alias.c.name == "candidate")
        return connection.execute(statement).scalar_one_or_none()


def test_one_has_the_turn_until_it_ends_and_then_it_is_due_a_day_later(database: Database) -> None:
    turn = retraining.take(database, DAY_S, 60)
    assert turn is not None
    assert not turn.asked
    assert retraining.take(database, DAY_S, 60) is None
    retraining.end(database, turn, "nothing new")
    assert row_of(database, turns, 1).text == "nothing new"
    assert retraining.take(database, DAY_S, 60) is None
    assert retraining.take(database, 0, 60) is not None


def test_who_asks_gets_a_turn_at_once_and_who_asks_meanwhile_another(database: Database) -> None:
    first = retraining.take(database, DAY_S, 60)
    assert first is not None
    retraining.ask(database)
    retraining.end(database, first, "")
    second = retraining.take(database, DAY_S, 60)
    assert second is not None
    assert second.asked
    retraining.end(database, second, "")
    assert retraining.take(database, DAY_S, 60) is None


def test_questions_and_turns_of_one_moment_are_told_apart(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "clock", property(lambda _: literal(1_000_000.0)))
    for _ in range(3):
        retraining.ask(database)
        first = retraining.take(database, DAY_S, 60)
        assert first is not None
        retraining.ask(database)
        retraining.end(database, first, "")
        second = retraining.take(database, DAY_S, 60)
        assert second is not None
        assert second.asked
        retraining.end(database, second, "")
        assert retraining.take(database, DAY_S, 60) is None


def test_an_expired_turn_goes_to_the_next_and_its_holder_registers_nothing(database: Database) -> None:
    killed = retraining.take(database, DAY_S, 60)
    assert killed is not None
    set_row(database, turns, 1, lease_until=1.0)
    alive = retraining.take(database, DAY_S, 60)
    assert alive is not None
    for act in (
        lambda: retraining.renew(database, killed, 60),
        lambda: retraining.give_back(database, killed),
        lambda: retraining.end(database, killed, ""),
        lambda: retraining.register(database, killed, "old", {}, ""),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert candidate(database) is None
    retraining.renew(database, alive, 60)
    retraining.register(database, alive, "new", {"labels": ["angry"]}, "done")
    assert candidate(database) == "new"


def test_a_turn_that_is_given_back_is_due_again(database: Database) -> None:
    retraining.ask(database)
    turn = retraining.take(database, DAY_S, 60)
    assert turn is not None
    retraining.give_back(database, turn)
    again = retraining.take(database, DAY_S, 60)
    assert again is not None
    assert again.asked


def test_labels_count_as_new_until_a_version_has_seen_them(database: Database) -> None:
    clips = make_job(database, clips=3).clips
    for clip_id in clips[:2]:
        add_label(database, clip_id, "angry")
        add_label(database, clip_id, "angry", "anna")

    def new() -> int:
        with database.read() as connection:
            return labels.newly_labelled(connection)

    assert new() == 2
    turn = retraining.take(database, DAY_S, 60)
    assert turn is not None
    add_label(database, clips[2], "calm")
    retraining.register(database, turn, "v1", {"base": "seed-v6"}, "")
    assert new() == 1, "the one that came while it trained"


def test_a_label_within_the_clocks_tick_of_a_turn_comes_after_it(database: Database) -> None:
    clip_id = make_job(database).clips[0]
    turn = retraining.take(database, DAY_S, 60)
    assert turn is not None
    standing = turn.since + 3600  # as if the clock had not moved since
    set_row(database, turns, 1, taken_at=standing)
    add_label(database, clip_id, "calm")
    retraining.register(database, replace(turn, since=standing), "v1", {"base": "seed-v6"}, "")
    with database.read() as connection:
        assert labels.newly_labelled(connection) == 1


def test_it_is_rung_when_due_and_not_while_a_bell_waits(database: Database, valkey: str) -> None:
    celery = celery_app(Settings(broker_url=valkey))
    doorbell = Doorbell(celery)
    with celery.connection_for_write() as connection:
        connection.default_channel.client.delete("train")
    assert retraining.ring_if_due(database, doorbell, DAY_S)
    assert doorbell.waiting("train") == 1
    assert not retraining.ring_if_due(database, doorbell, DAY_S)
    with celery.connection_for_write() as connection:
        connection.default_channel.client.delete("train")
    assert retraining.ring_if_due(database, doorbell, DAY_S), "that bell was lost"
    with celery.connection_for_write() as connection:
        connection.default_channel.client.delete("train")
    turn = retraining.take(database, DAY_S, 60)
    assert turn is not None
    assert not retraining.ring_if_due(database, doorbell, DAY_S)


# --- the training itself: whatever the database, it does the same, so on SQLite alone ----------------
on_sqlite = pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)
CLIPS = {"angry": 12, "happy": 12, "sad": 6, "calm": 2}


@pytest.fixture
def trainer(services: Services, tmp_path: Path) -> Services:
    """Services of a train worker that trains two epochs from 20 labels on, as the seed does: the quickest."""
    changed = {
        "champion": "seed-v6",
        "database_url": services.database.url.render_as_string(hide_password=False),
        "trained_dir": tmp_path / "trained",
        "retrain_min_labels": 20,
        "retrain_min_examples": 10,
        "retrain_epochs": 2,
    }
    return replace(services, settings=services.settings.model_copy(update=changed))


@pytest.fixture
def voices(trainer: Services) -> dict[int, str]:
    """Clips of a job that was unpacked, and what is heard in each."""
    members = {
        f"{emotion}-{n}.wav": wav_bytes(speech_like(emotion, duration_s=0.6, seed=n), 16_000)
        for emotion, count in CLIPS.items()
        for n in range(count)
    }
    _, upload_id = send(trainer, zip_of(members))
    unpack(trainer, upload_id)
    return {row.id: row.path.partition("-")[0] for row in clips_of(trainer, upload_id)}


@pytest.fixture
def client(trainer: Services) -> Iterator[TestClient]:
    with TestClient(create_app(trainer.settings), "http://localhost") as made:
        yield made


@on_sqlite
def test_labelled_clips_become_a_candidate_that_classifies_and_the_champion_stays(
    trainer: Services, voices: dict[int, str], client: TestClient
) -> None:
    settings, database = trainer.settings, trainer.database
    for clip_id, emotion in list(voices.items())[:19]:
        add_label(database, clip_id, emotion)
    assert retrain(trainer) == "Nothing to do: 19 newly labelled clips of 20."
    assert retrain(trainer) == "nothing to do"
    assert candidate(database) is None
    for clip_id, emotion in voices.items():
        add_label(database, clip_id, emotion)
    set_row(database, turns, 1, ended_at=1.0)
    text = retrain(trainer)

    version = candidate(database)
    assert version is not None
    assert text.startswith(f"{version} is the candidate: ")
    manifest = Classifier.load(settings.model_folders, version).manifest
    assert (manifest.labels, manifest.base) == (["angry", "happy"], "seed-v6")
    assert manifest.unknown_labels == ["calm", "disgust", "fearful", "neutral", "sad", "surprised"]
    assert manifest.speakers.training == ["07"]
    data = manifest.data
    assert (data.training_clips, data.test_clips, data.unknown_clips, data.left_out) == (19, 5, 8, 0)
    assert manifest.threshold_rule.unknown_clips == 8
    with database.read() as connection:
        stored = connection.execute(select(model).where(model.c.version == version)).one()
    assert (stored.version, stored.manifest) == (version, manifest.model_dump(mode="json"))

    listed = client.get("/v1/models").json()
    assert {one["version"]: one["aliases"] for one in listed["models"]} == {
        "seed-v6": ["champion"], "v8": [], "v8-six": [], "v8-small": [], version: ["candidate"]
    }  # fmt: skip
    assert [one["runtimes"] for one in listed["models"]] == [["onnx", "tensorflow"]] * 5
    assert listed["retraining"]["text"] == text
    assert (listed["retraining"]["newly_labelled"], listed["retraining"]["wanted"]) == (0, 20)
    assert client.post("/v1/jobs", json={"model": "candidate"}).json()["model_version"] == version
    assert client.post("/v1/jobs", json={}).json()["model_version"] == "seed-v6"
    with database.write() as connection:
        connection.execute(unit.update().values(model_version=version))
        unit_id = connection.execute(select(unit.c.id).limit(1)).scalar_one()
    assert classify(trainer, unit_id).startswith("3 clips: ")


@on_sqlite
def test_too_few_labels_are_told_to_who_asked(
    trainer: Services, voices: dict[int, str], client: TestClient
) -> None:
    add_label(trainer.database, next(iter(voices)), "angry")
    asked = client.post("/v1/retrain")
    assert (asked.status_code, asked.json()["is_asked"]) == (202, True)
    text = retrain(trainer)
    assert "takes two emotions with 10 labelled recordings each" in text
    after = client.get("/v1/models").json()["retraining"]
    assert (after["is_asked"], after["is_running"], after["text"]) == (False, False, text)


@on_sqlite
def test_a_store_that_does_not_answer_ends_no_turn(trainer: Services) -> None:
    gone = make_job(trainer.database, clips=20).clips
    for number, clip_id in enumerate(gone):
        add_label(trainer.database, clip_id, "angry" if number % 2 else "happy")
    with pytest.raises(StoreUnavailable):
        retrain(trainer)
    assert retraining.take(trainer.database, DAY_S, 60) is not None, "the next look begins it again"
    assert not trainer.settings.trained_dir.exists()


@on_sqlite
def test_one_that_was_overtaken_while_it_read_stops_and_leaves_nothing(
    trainer: Services, voices: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for clip_id, emotion in voices.items():
        add_label(trainer.database, clip_id, emotion)
    opened = StoredRecordings.open

    def overtaken(self: StoredRecordings, example: Example) -> BinaryIO:
        set_row(trainer.database, turns, 1, attempts=9)
        return opened(self, example)

    monkeypatch.setattr(StoredRecordings, "open", overtaken)
    # So short that each step renews it.
    hurried = replace(trainer, settings=trainer.settings.model_copy(update={"retrain_lease_s": 1e-3}))
    assert retrain(hurried) == "lease lost; another worker has it"
    assert candidate(trainer.database) is None
    assert not trainer.settings.trained_dir.exists()


@on_sqlite
@pytest.mark.long
def test_a_retraining_that_is_killed_leaves_nothing_and_the_next_begins_anew(
    trainer: Services, voices: dict[int, str], client: TestClient
) -> None:
    for clip_id, emotion in voices.items():
        add_label(trainer.database, clip_id, emotion)
    trained = trainer.settings.trained_dir
    killed = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "VOXMOOD_CHAMPION": trainer.settings.champion,
            "VOXMOOD_DATABASE_URL": trainer.settings.database_url,
            "VOXMOOD_TRAINED_DIR": str(trained),
            "VOXMOOD_RETRAIN_MIN_EXAMPLES": "10",
            "VOXMOOD_RETRAIN_MIN_LABELS": "20",
        },
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not list(trained.glob(".seed-*")):
            assert killed.poll() is None
            assert time.monotonic() < deadline, "it never began to train"
            time.sleep(0.05)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert registry.versions(trained) == []
    assert retrain(trainer) == "nothing to do", "the dead one has the turn still"
    set_row(trainer.database, turns, 1, lease_until=1.0)
    assert "is the candidate" in retrain(trainer)
    assert [folder.name for folder in trained.iterdir()] == [candidate(trainer.database)]
