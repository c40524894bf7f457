"""Two at one piece of work, met at the worst moment: on a real store, SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from shared.core.states import Outcome
from shared.database.tables import job, prediction, shard, unit, upload
from shared.jobs import leases
from tests.archive_builders import zip_of
from tests.integration.builders import row_of, set_row
from tests.integration.sending import clips_of, outcomes, send, sent
from workers.classify import Classifying, classify
from workers.services import Services
from workers.unpack import unpack


@pytest.mark.parametrize("boundary", [1, 2, 4])
def test_of_two_unpackers_on_one_upload_one_writes_each_clip(
    services: Services, boundary: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has written a shard when its lease has run out; the second is through before it goes on."""
    members = {f"{number}.wav": b"recording %d" % number for number in range(10)}
    _, upload_id = send(services, zip_of(members))
    put = services.storage.put
    puts = 0

    def overtaken(key: str, body: bytes) -> None:
        nonlocal puts
        put(key, body)
        puts += 1
        if puts == boundary:
            set_row(services.database, upload, upload_id, lease_until=0)
            assert unpack(services, upload_id) == "10 recordings"

    monkeypatch.setattr(services.storage, "put", overtaken)
    assert unpack(services, upload_id) == "lease lost; another worker has it"
    assert [row.path for row in clips_of(services, upload_id)] == list(members)
    row = row_of(services.database, upload, upload_id)
    assert (row.state, row.clips, row.shards) == ("done", 10, 4)
    with services.database.read() as connection:
        assert len(connection.execute(select(shard.c.id)).all()) == 4
        assert len(connection.execute(select(unit.c.id)).all()) == 4


def test_the_last_two_shards_finishing_together_end_the_job_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have computed before either commits, and both have committed before either looks at the job."""
    upload_id, units = sent(services, [f"{number}.wav" for number in range(6)])
    assert len(units) == 2
    meet = threading.Barrier(2, timeout=60)
    complete, close = Classifying.complete, leases.close_job
    closed: list[str | None] = []

    def together(self: Classifying, *arguments: Any) -> str:
        meet.wait()
        return complete(self, *arguments)

    def close_together(*arguments: Any) -> str | None:
        meet.wait()
        closed.append(close(*arguments))
        return closed[-1]

    monkeypatch.setattr(Classifying, "complete", together)
    monkeypatch.setattr(leases, "close_job", close_together)
    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(lambda unit_id: classify(services, unit_id), units))
    assert [text.split(":")[0] for text in texts] == ["3 clips", "3 clips"]
    assert closed == ["done", "done"]
    job_id = row_of(services.database, unit, units[0]).job_id
    assert row_of(services.database, job, job_id).state == "done"
    assert len(outcomes(services, upload_id)) == 6


def test_one_bell_heard_by_two_workers_at_once_gives_each_clip_one_outcome(services: Services) -> None:
    upload_id, units = sent(services, [f"{number}.wav" for number in range(6)])
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda unit_id: classify(services, unit_id), [*units, *units]))
    assert Counter(texts)["nothing to do"] == 2
    with services.database.read() as connection:
        found = connection.execute(select(prediction.c.clip_id)).all()
    assert len(found) == len(set(found)) == 6
    rows = [row_of(services.database, unit, unit_id) for unit_id in units]
    assert sum(getattr(row, name) for row in rows for name in Outcome) == 6
    assert len(outcomes(services, upload_id)) == 6
