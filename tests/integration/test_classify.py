"""Classify against a real store and database, with the model that ships: leases, poison, order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select

from shared.core.settings import Settings
from shared.database.tables import clip_try, job, prediction, unit, upload
from shared.jobs.doorbell import CLASSIFY, Bell, Doorbell, celery_app
from tests.integration.builders import add_prediction, row_of, set_row
from tests.integration.sending import clips_of, outcomes, sent
from workers.classify import MOST_TRIES, Classifying, classify
from workers.services import Services

RATE = 16_000


def test_a_unit_s_clips_become_predictions_and_its_counts_agree(services: Services) -> None:
    upload_id, units = sent(services, ["a.wav", "b.wav"], {"c.txt": b"words"})
    text = classify(services, units[0])
    assert text.startswith("3 clips: ")
    assert "1 failed" in text
    found = outcomes(services, upload_id)
    assert found["c.txt"] == ("failed", "not_a_recording")
    ended = row_of(services.database, unit, units[0])
    assert (ended.state, ended.failed) == ("done", 1)
    assert ended.classified + ended.rejected == 2
    assert row_of(services.database, job, ended.job_id).state == "done"


def test_a_bell_that_rings_twice_does_nothing_the_second_time(services: Services) -> None:
    upload_id, units = sent(services, ["a.wav"])
    classify(services, units[0])
    before = outcomes(services, upload_id)
    assert classify(services, units[0]) == "nothing to do"
    assert outcomes(services, upload_id) == before


def test_a_worker_that_was_overtaken_writes_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id, units = sent(services, ["a.wav", "b.wav"])
    run = Classifying.run

    def overtaken(self: Classifying) -> str:
        set_row(services.database, unit, units[0], attempts=7)
        return run(self)

    with monkeypatch.context() as patch:
        patch.setattr(Classifying, "run", overtaken)
        assert classify(services, units[0]) == "lease lost; another worker has it"
    assert outcomes(services, upload_id) == {}


def test_a_large_job_s_unit_lets_a_small_job_go_first_and_goes_on_where_it_was(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.classify.YIELDS_AFTER_S", 0.0)
    upload_id, units = sent(services, ["a.wav", "b.wav", "c.wav"])
    one_by_one = replace(services, settings=services.settings.model_copy(update={"batch_clips": 1}))
    bell = Bell(CLASSIFY, 1_000_000, small=True, text="a small job")
    services.doorbell.ring([bell])
    try:
        assert classify(one_by_one, units[0]) == "given back, with what is done: a small job goes first"
        assert len(outcomes(services, upload_id)) == 1, "what was done stands"
        assert row_of(services.database, unit, units[0]).state == "pending"
        assert classify(one_by_one, units[0]) == "given back, with what is done: a small job goes first"
        assert len(outcomes(services, upload_id)) == 2, "each time a batch is done, so that the unit ends"
        set_row(services.database, job, row_of(services.database, unit, units[0]).job_id, small=True)
        assert classify(one_by_one, units[0]).startswith("3 clips: "), "small jobs wait for each other"
    finally:
        with celery_app(services.settings).connection_for_write() as connection:
            connection.default_channel.queue_purge(bell.queue)
    ended = row_of(services.database, unit, units[0])
    assert (ended.state, ended.returns) == ("done", 2)


def test_a_queue_that_does_not_answer_is_no_reason_to_give_work_back(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.classify.YIELDS_AFTER_S", 0.0)
    _, units = sent(services, ["a.wav", "b.wav"])
    settings = services.settings.model_copy(update={"batch_clips": 1})
    broken = celery_app(settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")}))
    alone = replace(services, settings=settings, doorbell=Doorbell(broken))
    assert classify(alone, units[0]).startswith("2 clips: ")


def test_a_cancelled_job_s_work_is_dropped(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_id, units = sent(services, ["a.wav"])
    run = Classifying.run

    def cancelled(self: Classifying) -> str:
        set_row(services.database, job, row_of(services.database, unit, units[0]).job_id, state="cancelled")
        return run(self)

    with monkeypatch.context() as patch:
        patch.setattr(Classifying, "run", cancelled)
        assert classify(services, units[0]) == "lease lost; another worker has it"
    assert outcomes(services, upload_id) == {}


def test_a_clip_that_crashes_its_reader_is_given_up_and_the_others_are_not(services: Services) -> None:
    """The state that three lost children leave: tries counted, no outcome. The fourth does not try."""
    upload_id, units = sent(services, ["a.wav", "poison.wav", "b.wav"])
    ids = {row.path: row.id for row in clips_of(services, upload_id)}
    set_row(services.database, unit, units[0], crashes=MOST_TRIES)
    with services.database.write() as connection:
        tried = {"unit_id": units[0], "clip_id": ids["poison.wav"], "tries": MOST_TRIES}
        connection.execute(insert(clip_try).values(tried))
    classify(services, units[0])
    found = outcomes(services, upload_id)
    assert found["poison.wav"] == ("failed", "crashes_decoder")
    assert {found[path][0] for path in ("a.wav", "b.wav")} <= {"classified", "rejected"}
    assert row_of(services.database, unit, units[0]).failed == 1


def test_clip_by_clip_gives_the_same_as_batches(services: Services) -> None:
    def run(**values: Any) -> list[tuple[Any, ...]]:
        upload_id, units = sent(services, ["a.wav", "b.wav", "c.wav"])
        set_row(services.database, unit, units[0], **values)
        classify(services, units[0])
        rows = {row.id for row in clips_of(services, upload_id)}
        with services.database.read() as connection:
            found = connection.execute(select(prediction).order_by(prediction.c.clip_id)).all()
        return [(row.outcome, row.probabilities) for row in found if row.clip_id in rows]

    batches, one_by_one = run(crashes=0), run(crashes=1)
    assert len(batches) == 3
    for ours, theirs in zip(batches, one_by_one, strict=True):
        assert ours[0] == theirs[0]
        assert ours[1] == pytest.approx(theirs[1], abs=1e-5)


def test_clips_that_have_a_prediction_are_not_computed_again(services: Services) -> None:
    upload_id, units = sent(services, ["a.wav", "b.wav"])
    ids = {row.path: row.id for row in clips_of(services, upload_id)}
    add_prediction(services.database, ids["a.wav"], units[0], "no_voice", Settings().champion)
    classify(services, units[0])
    assert outcomes(services, upload_id)["a.wav"] == ("no_voice", None)
    assert row_of(services.database, unit, units[0]).no_voice == 1


def test_an_unexpected_error_counts_as_a_crash_and_gives_the_unit_back(services: Services) -> None:
    _, units = sent(services, ["a.wav"])
    set_row(services.database, unit, units[0], model_version="gone")
    with pytest.raises(Exception, match="no model version gone"):
        classify(services, units[0])
    left = row_of(services.database, unit, units[0])
    assert (left.state, left.crashes) == ("pending", 1)
    assert row_of(services.database, upload, 1).state == "done"
