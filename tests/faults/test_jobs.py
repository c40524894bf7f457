"""Jobs that are cancelled or deleted in the middle of the work."""

from __future__ import annotations

import random
import time

from shared.database.tables import metadata
from shared.jobs.doorbell import WORK_QUEUES, Doorbell, celery_app
from shared.store.names import job_prefix
from shared.store.objects import Storage
from tests.faults.work import SHARD_CLIPS, Work, clips, sent, settings_of
from tests.stacks import Stack
from tests.waiting import wait_for

LEASE_S = 3  # of `own_stack`


def test_cancel_under_way_keeps_what_is_done_and_retry_does_the_rest(
    standing: Stack, chance: random.Random
) -> None:
    work = started(standing, chance)
    answer = work.api.http.post(f"/v1/jobs/{work.job}/cancel")
    assert answer.status_code == 200, answer.text
    kept = answer.json()["counts"]["done"]
    assert 0 < kept < 20 * SHARD_CLIPS
    time.sleep(LEASE_S + 1)
    rows = work.api.rows(work.job)
    assert len(rows) == len({row["path"] for row in rows}) == kept
    assert work.api.http.post(f"/v1/jobs/{work.job}/retry").status_code == 200
    work.is_classified()


def test_delete_under_way_leaves_nothing(standing: Stack, chance: random.Random) -> None:
    work = started(standing, chance)
    storage = Storage(settings_of(standing))
    key = standing.query("SELECT key FROM job WHERE id = :job", job=work.job)[0].key
    assert any(storage.older_than(job_prefix(key), -60))
    assert work.api.http.delete(f"/v1/jobs/{work.job}").status_code == 202
    wait_for(lambda: is_gone(work))
    assert [keys for keys in storage.older_than(job_prefix(key), -60) if keys] == []
    assert storage.abort_parts_older_than(job_prefix(key), 0) == 0
    for table in metadata.sorted_tables:
        if "job_id" in table.columns:
            found = standing.query(f"SELECT count(*) FROM {table.name} WHERE job_id = :job", job=work.job)
            assert found[0][0] == 0, table.name
    doorbell = Doorbell(celery_app(settings_of(standing)))
    wait_for(lambda: not any(doorbell.waiting(queue) for queue in WORK_QUEUES))


def started(stack: Stack, chance: random.Random) -> Work:
    """A job of 20 shards, some of them done."""
    work = sent(stack, clips(20 * SHARD_CLIPS))
    work.start()
    enough = chance.randrange(1, 8 * SHARD_CLIPS)
    wait_for(lambda: work.api.http.get(f"/v1/jobs/{work.job}").json()["counts"]["done"] >= enough)
    return work


def is_gone(work: Work) -> bool:
    """Each DELETE asks for the removal again, which waits for the leases that are left."""
    time.sleep(0.5)
    return work.api.http.delete(f"/v1/jobs/{work.job}").status_code == 404
