"""Webhooks: what a real receiver hears of a job's end, whatever it answers and whoever dies."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, select

from shared.core.settings import Settings
from shared.database.sessions import Database
from shared.database.tables import job, unit, webhook
from shared.jobs import leases, lifecycle, webhooks
from shared.jobs.doorbell import Doorbell, celery_app
from shared.store.objects import Storage
from tests.integration.builders import make_job, set_row
from tests.receivers import Receiver, running_receiver
from tests.waiting import wait_for
from workers import notify
from workers.services import Services

SECRET = bytes(range(32))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def services(database: Database) -> Services:
    """Of a maintenance worker that signs; neither store nor queue is asked for anything."""
    settings = Settings(webhook_secret=f"whsec_{base64.b64encode(SECRET).decode()}")
    return Services(settings, database, Storage(settings), Doorbell(celery_app(settings)))


def ended_job(services: Services, url: str, private: bool = True) -> int:
    """A job that has just ended, and is to be told to this address."""
    made = make_job(services.database, unit_state="done")
    with services.database.write() as connection:
        connection.execute(insert(webhook).values(job_id=made.job, url=url, private=private))
    assert leases.close_job(services.database, made.job) == "done"
    return made.job


def tell(services: Services) -> None:
    """What the thread of one tick does."""
    asyncio.run(notify.tell(services))


def row_of(services: Services, job_id: int) -> Any:
    with services.database.read() as connection:
        return connection.execute(select(webhook).where(webhook.c.job_id == job_id)).one()


def make_due(services: Services, job_id: int) -> None:
    """As if the pause were over."""
    with services.database.write() as connection:
        connection.execute(webhook.update().where(webhook.c.job_id == job_id).values(due_at=1.0))


def test_the_end_of_a_job_is_told_once_with_its_document_and_a_signature_that_verifies(
    services: Services, receiver: Receiver
) -> None:
    job_id = ended_job(services, receiver.url)
    tell(services)
    tell(services)
    [(headers, body)] = receiver.told
    document = json.loads(body)
    assert (document["id"], document["state"], document["counts"]["clips"]) == (job_id, "done", 0)
    assert headers["webhook-id"] == headers["Idempotency-Key"] == row_of(services, job_id).event_id
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (row_of(services, job_id).state, row_of(services, job_id).attempts) == ("delivered", 1)


def test_without_a_secret_nothing_is_signed(services: Services, receiver: Receiver) -> None:
    ended_job(services, receiver.url)
    tell(Services(Settings(), services.database, services.storage, services.doorbell))
    assert receiver.told[0][0]["webhook-signature"] is None


def test_a_receiver_that_fails_is_told_again_after_a_pause_under_the_same_id(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At random, a pause may be so short that the next try is due before all that is due has been told.
    monkeypatch.setattr(webhooks, "jittered", lambda first_s, tries, most_s: first_s)
    receiver.answers = [500, 302, 503]
    job_id = ended_job(services, receiver.url)
    for attempt, answer in enumerate(list(receiver.answers), 1):
        tell(services)
        row = row_of(services, job_id)
        assert (row.state, row.attempts) == ("waiting", attempt)
        assert f"127.0.0.1 answered {answer}; " in row.error
        assert row.due_at > time.time() - 5
        make_due(services, job_id)
    tell(services)
    assert (row_of(services, job_id).state, row_of(services, job_id).error) == ("delivered", None)
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == 1
    assert len(receiver.told) == 4, "a redirect is not followed"


def test_pauses_grow_with_each_failure_to_hours(services: Services, receiver: Receiver) -> None:
    receiver.answers = [500] * 8
    job_id = ended_job(services, receiver.url)
    longest = 0.0
    for attempt in (3, 30):
        for _ in range(4):
            with services.database.write() as connection:
                connection.execute(webhook.update().values(due_at=1.0, attempts=attempt))
            tell(services)
            pause_s = row_of(services, job_id).due_at - time.time()
            assert pause_s < {3: 81, 30: 21_601}[attempt]
            longest = max(longest, pause_s)
    assert longest > 81


def test_a_dead_receiver_is_given_up_a_day_after_the_job_s_end(services: Services) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    job_id = ended_job(services, f"http://127.0.0.1:{port}/")
    tell(services)
    assert (row_of(services, job_id).state, row_of(services, job_id).attempts) == ("waiting", 1)
    assert "127.0.0.1 could not be reached: " in row_of(services, job_id).error
    set_row(services.database, job, job_id, ended_at=time.time() - 86_500)
    make_due(services, job_id)
    tell(services)
    assert (row_of(services, job_id).state, row_of(services, job_id).due_at) == ("given_up", None)


def test_a_receiver_that_wants_to_hear_nothing_more_is_given_up_at_once(
    services: Services, receiver: Receiver
) -> None:
    receiver.answers = [410]
    job_id = ended_job(services, receiver.url)
    tell(services)
    assert row_of(services, job_id).state == "given_up"


def test_a_receiver_that_never_answers_costs_its_limit_and_delays_no_other(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "TRY_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = ended_job(services, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        quick = ended_job(services, receiver.url)
        assert notify.notify(services) == "telling"
        # Sweeps share this process, so it has come back before the silent one's time was over.
        assert row_of(services, slow).error is None
        receiver.wait(1)
        assert notify.notify(services) in ("still at it", "nothing is owed")
        wait_for(lambda: row_of(services, slow).error is not None)
    assert row_of(services, slow).error == "127.0.0.1 did not answer within 3 s."
    assert row_of(services, quick).state == "delivered"


def test_killed_between_the_request_and_the_commit_it_is_told_twice_under_one_id(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = ended_job(services, receiver.url)
    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tell(services)
    assert row_of(services, job_id).state == "waiting"
    tell(services)
    assert len(receiver.told) == 1, "its lease holds"
    make_due(services, job_id)
    tell(services)
    first, second = (headers["webhook-id"] for headers, _ in receiver.told)
    assert first == second
    assert row_of(services, job_id).state == "delivered"


def test_two_workers_tell_once(services: Services, receiver: Receiver) -> None:
    job_id = ended_job(services, receiver.url)
    [delivery] = webhooks.due(services.database, 10)
    assert webhooks.take(services.database, delivery) is not None
    assert webhooks.take(services.database, delivery) is None
    assert row_of(services, job_id).attempts == 1


def test_a_job_that_runs_again_is_told_again_when_it_ends_again(
    services: Services, receiver: Receiver
) -> None:
    job_id = ended_job(services, receiver.url)
    tell(services)
    with services.database.write() as connection:
        connection.execute(unit.update().where(unit.c.job_id == job_id).values(state="pending"))
    lifecycle.retry(services.database, job_id, [])
    make_due(services, job_id)
    tell(services)
    assert len(receiver.told) == 1, "it runs"
    lifecycle.cancel(services.database, job_id)
    tell(services)
    assert [json.loads(body)["state"] for _, body in receiver.told] == ["done", "cancelled"]
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == 2


def test_an_end_that_came_while_the_one_before_was_told_is_still_owed(
    services: Services, receiver: Receiver
) -> None:
    job_id = ended_job(services, receiver.url)

    def end_again() -> None:
        receiver.before = lambda: None
        with services.database.write() as connection:
            webhooks.owe(connection, services.database, job_id)

    receiver.before = end_again
    tell(services)
    assert len(receiver.told) == 2
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == 2


def test_a_deleted_job_owes_nothing(services: Services, receiver: Receiver) -> None:
    job_id = ended_job(services, receiver.url)
    lifecycle.mark_deleted(services.database, job_id)
    tell(services)
    lifecycle.erase(services.database, job_id, "jobs/x/", 0.0)
    assert receiver.told == []
    with services.database.read() as connection:
        assert connection.execute(select(webhook)).all() == []


def test_a_name_that_leads_into_this_machine_is_not_called_where_that_is_forbidden(
    services: Services, receiver: Receiver
) -> None:
    job_id = ended_job(services, receiver.url.replace("127.0.0.1", "localhost"), private=False)
    tell(services)
    row = row_of(services, job_id)
    assert (row.state, receiver.told) == ("given_up", [])
    assert row.error.startswith("localhost is ")
    assert "in a private network or on this machine" in row.error
