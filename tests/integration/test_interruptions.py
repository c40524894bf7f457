"""Cancel followed at once by retry or reclassify, whatever the workers are doing, on SQLite and PostgreSQL:
nothing waits for a lease to run out, and nothing is done twice."""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select

import workers.classify
from shared.core.errors.requests import WrongJobState
from shared.core.settings import Settings
from shared.database.leasing import LeaseLost
from shared.database.tables import job, prediction, unit, upload
from shared.jobs import leases, lifecycle
from shared.jobs.doorbell import UNPACK
from tests.archive_builders import zip_of
from tests.integration.builders import make_job, row_of
from tests.integration.sending import clips_of, send, sent
from tests.integration.working import work
from workers.classify import Classifying, classify
from workers.services import Services
from workers.unpack import unpack

OTHER = "seed-v6"
# Far below a lease (60 s): nobody may have waited for one.
LIMIT_S = 20.0


def again(services: Services, job_id: int, action: str) -> None:
    if action == "retry":
        lifecycle.retry(services.database, job_id, [])
    else:
        lifecycle.reclassify(services.database, job_id, OTHER)


def leased(services: Services, job_id: int) -> list[Any]:
    with services.database.read() as connection:
        return [
            row
            for table in (upload, unit)
            for row in connection.execute(select(table).where(table.c.job_id == job_id)).all()
            if row.state == "leased"
        ]


def each_clip_has_one_outcome(services: Services, upload_id: int, versions: set[str]) -> None:
    clips = {row.id for row in clips_of(services, upload_id)}
    with services.database.read() as connection:
        rows = connection.execute(select(prediction.c.clip_id, prediction.c.model_version)).all()
    found = sorted((row.model_version, row.clip_id) for row in rows)
    assert found == sorted((version, clip_id) for version in versions for clip_id in clips)


@pytest.mark.parametrize("action", ["retry", "reclassify"])
@pytest.mark.parametrize(
    "step", [(workers.classify, "look"), (Classifying, "sources"), (Classifying, "complete")]
)
def test_a_worker_whose_job_was_cancelled_and_runs_again_leaves_no_lease(
    services: Services, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str], action: str
) -> None:
    upload_id, units = sent(services, ["a.wav", "b.wav"])
    job_id = row_of(services.database, unit, units[0]).job_id
    real = getattr(*step)

    def interrupted(*arguments: Any) -> Any:
        patch.undo()
        lifecycle.cancel(services.database, job_id)
        again(services, job_id, action)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(*step, interrupted)
        assert classify(services, units[0]) == "lease lost; another worker has it"
    assert leased(services, job_id) == []
    work(services, job_id, LIMIT_S)
    versions = {Settings().champion} | ({OTHER} if action == "reclassify" else set())
    each_clip_has_one_outcome(services, upload_id, versions)


def test_a_worker_that_drops_a_cancelled_job_s_work_gives_it_back(services: Services) -> None:
    made = make_job(services.database, upload_state="pending")
    held = [leases.take(services.database, *row, 60) for row in ((unit, made.unit), (upload, made.upload))]
    lifecycle.cancel(services.database, made.job)
    for lease in held:
        assert lease is not None
        with pytest.raises(LeaseLost):
            leases.renew(services.database, lease, 60)
        leases.give_back(services.database, lease, pause=True)
    assert leased(services, made.job) == []
    assert row_of(services.database, unit, made.unit).returns == 1


@pytest.mark.parametrize("action", ["retry", "reclassify"])
def test_the_lease_of_a_worker_that_died_under_a_cancelled_job_is_taken_away(
    services: Services, action: str
) -> None:
    made = make_job(services.database, upload_state="pending")
    dead = leases.take(services.database, unit, made.unit, 60)
    gone = leases.take(services.database, upload, made.upload, 60)
    assert dead is not None
    assert gone is not None
    lifecycle.cancel(services.database, made.job)
    again(services, made.job, action)
    assert leased(services, made.job) == []
    # Was it only slow? It commits nothing, and leaves the lease of its successor alone.
    next_one = leases.take(services.database, unit, made.unit, 60)
    assert next_one is not None
    with pytest.raises(LeaseLost):
        leases.renew(services.database, dead, 60)
    leases.give_back(services.database, dead)
    leases.renew(services.database, next_one, 60)


def test_reclassify_rings_for_what_a_cancelled_job_has_left(services: Services) -> None:
    made = make_job(services.database, upload_state="pending")
    lifecycle.cancel(services.database, made.job)
    bells = lifecycle.reclassify(services.database, made.job, "v8-small")
    assert {(bell.task, bell.id) for bell in bells} >= {("unpack", made.upload), ("classify", made.unit)}
    assert len(bells) == 3


def test_thirty_mixed_requests_at_once_leave_nothing_waiting(services: Services) -> None:
    chance = random.Random(17)
    job_id, upload_id = send(services, zip_of({f"{n}.txt": b"words %d" % n for n in range(40)}))
    with services.database.write() as connection:
        connection.execute(job.update().where(job.c.id == job_id).values(model_version="v8-small"))
    asked: list[Callable[[], Any]] = [
        lambda: lifecycle.cancel(services.database, job_id),
        lambda: lifecycle.retry(services.database, job_id, []),
        lambda: lifecycle.reclassify(services.database, job_id, OTHER),
    ]
    rung: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def classifying() -> None:
        while (unit_id := rung.get()) is not None:
            classify(services, unit_id)

    def request(number: int) -> None:
        time.sleep(number * 0.05)
        with suppress(WrongJobState):  # as its client is told
            chance.choice(asked)()

    with ThreadPoolExecutor(10) as pool:
        workers = [pool.submit(classifying) for _ in range(2)]
        requests = [pool.submit(request, number) for number in range(30)]
        try:
            while not all(one.done() for one in requests):
                for bell in leases.sweep(services.database, 0, frozenset()):
                    if bell.task == UNPACK:
                        unpack(services, bell.id)  # by signals, which are the main thread's
                    else:
                        rung.put(bell.id)
        finally:  # else a failure above would wait for the two for ever
            for _ in workers:
                rung.put(None)
        for one in (*workers, *requests):
            one.result()
    assert leased(services, job_id) == []
    if row_of(services.database, job, job_id).state != "running":
        lifecycle.reclassify(services.database, job_id, OTHER)
    work(services, job_id, LIMIT_S)
    assert row_of(services.database, job, job_id).state == "done"
    with services.database.read() as connection:
        versions = set(connection.execute(select(unit.c.model_version)).scalars())
    assert versions <= {"v8-small", OTHER}
    with services.database.read() as connection:
        rows = connection.execute(select(prediction.c.clip_id, prediction.c.model_version)).all()
    assert len(rows) == len(set(rows))
    clips = {row.id for row in clips_of(services, upload_id)}
    assert {row.clip_id for row in rows if row.model_version == "v8-small"} == clips
    assert len(clips) == 40
