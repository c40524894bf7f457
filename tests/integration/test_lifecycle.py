"""Cancel, retry, delete and purge, on a real store and both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from shared.core.errors.requests import UnknownJob, WrongJobState
from shared.database.tables import clip_try, job, metadata, prediction, tombstone, unit, upload
from shared.jobs import leases, lifecycle
from shared.jobs.leases import LeaseLost
from shared.store.objects import job_prefix
from tests.archive_builders import zip_of
from tests.integration.builders import add_prediction, make_job, row_of, set_row
from tests.integration.test_unpack import clips_of, parts, send
from workers import purge
from workers.parts import Parts
from workers.unpack import unpack

__all__ = ["parts"]  # the fixture
MEMBERS = {f"{n}.wav": b"%d" % n for n in range(7)} | {"twin.wav": b"1"}


def rows_left(parts: Parts) -> dict[str, int]:
    """How many rows each table has, but for those of no job."""
    with parts.database.read() as connection:
        counts = {
            table.name: len(connection.execute(select(table)).all()) for table in metadata.sorted_tables
        }
    return {name: count for name, count in counts.items() if count and name != "retraining"}


def predict(parts: Parts, unit_id: int, outcomes: dict[int, str]) -> None:
    """Complete a unit with these outcomes."""
    for clip_id, outcome in outcomes.items():
        add_prediction(parts.database, clip_id, unit_id, outcome)
    set_row(parts.database, unit, unit_id, state="done")


def test_cancel_stops_what_is_under_way_and_keeps_its_place(parts: Parts) -> None:
    job_id, upload_id = send(parts, zip_of(MEMBERS))
    lease = leases.take(parts.database, upload, upload_id, 60)
    assert lease is not None
    lifecycle.cancel(parts.database, job_id)
    with pytest.raises(LeaseLost):
        leases.renew(parts.database, lease, 60)
    assert leases.take(parts.database, upload, upload_id, 60) is None
    assert row_of(parts.database, job, job_id).ended_at is not None
    with pytest.raises(WrongJobState, match=f"Job {job_id} is cancelled; only a job that is open or running"):
        lifecycle.cancel(parts.database, job_id)


def test_retry_of_a_cancelled_job_goes_on_where_it_was(parts: Parts) -> None:
    job_id, upload_id = send(parts, zip_of(MEMBERS))
    leases.take(parts.database, upload, upload_id, 60)
    lifecycle.cancel(parts.database, job_id)
    bells = lifecycle.retry(parts.database, job_id, [])
    assert [(bell.task, bell.id) for bell in bells] == [("unpack", upload_id)]
    assert unpack(parts, upload_id) == "8 recordings"
    assert row_of(parts.database, job, job_id).state == "running"
    assert row_of(parts.database, upload, upload_id).attempts == 2  # it fences, so it never goes back


def test_retry_runs_failed_clips_again_and_leaves_the_others(parts: Parts) -> None:
    job_id, upload_id = send(parts, zip_of({"a": b"a", "b": b"b", "c": b"c", "d": b"d"}))
    unpack(parts, upload_id)
    rows = clips_of(parts, upload_id)
    with parts.database.read() as connection:
        first, second = connection.execute(select(unit.c.id).where(unit.c.job_id == job_id)).scalars()
    predict(parts, first, {rows[0].id: "classified", rows[1].id: "failed", rows[2].id: "no_voice"})
    predict(parts, second, {rows[3].id: "rejected"})
    set_row(parts.database, unit, first, crashes=2)
    with parts.database.write() as connection:
        connection.execute(insert(clip_try).values(unit_id=first, clip_id=rows[1].id, tries=3))
    assert leases.close_job(parts.database, job_id) == "done"
    bells = lifecycle.retry(parts.database, job_id, [])
    assert [bell.id for bell in bells] == [first]
    again, untouched = row_of(parts.database, unit, first), row_of(parts.database, unit, second)
    assert (again.state, again.crashes, untouched.state) == ("pending", 0, "done")
    with parts.database.read() as connection:
        left = set(connection.execute(select(prediction.c.clip_id)).scalars())
        assert connection.execute(select(clip_try)).all() == []
    assert left == {rows[0].id, rows[2].id, rows[3].id}


def test_retry_takes_failed_uploads_that_are_still_in_the_store(parts: Parts) -> None:
    job_id, upload_id = send(parts, zip_of({}), "empty.zip")
    unpack(parts, upload_id)
    row = row_of(parts.database, upload, upload_id)
    assert row.state == "failed"
    assert parts.storage.size(row.object_key) is not None
    assert lifecycle.retry(parts.database, job_id, []) == []
    leases.close_job(parts.database, job_id)
    assert [bell.id for bell in lifecycle.retry(parts.database, job_id, [upload_id])] == [upload_id]
    assert row_of(parts.database, upload, upload_id).error is None


@pytest.mark.parametrize("state", ["open", "running", "deleting"])
def test_only_ended_jobs_are_retried(parts: Parts, state: str) -> None:
    made = make_job(parts.database)
    set_row(parts.database, job, made.job, state=state)
    with pytest.raises(WrongJobState):
        lifecycle.retry(parts.database, made.job, [])


def test_a_deleted_job_leaves_nothing_but_a_tombstone_and_then_nothing(parts: Parts) -> None:
    job_id, upload_id = send(parts, zip_of(MEMBERS))
    _, broken = send(parts, zip_of({}), "empty.zip", job_id)
    unpack(parts, upload_id)
    unpack(parts, broken)
    rows = clips_of(parts, upload_id)
    assert any(row.duplicate_of for row in rows)
    with parts.database.read() as connection:
        unit_id = connection.execute(select(unit.c.id).where(unit.c.job_id == job_id)).scalars().first()
    predict(parts, unit_id, {rows[0].id: "classified"})
    prefix = job_prefix(row_of(parts.database, job, job_id).key)
    key = f"{prefix}uploads/unfinished"
    parts.storage.put_part(key, parts.storage.begin_parts(key), 1, bytes(5 * 2**20))
    lifecycle.mark_deleted(parts.database, job_id)
    assert "1 erased" in purge.purge(parts)
    assert rows_left(parts) == {"tombstone": 1}
    assert [keys for keys in parts.storage.older_than(prefix, -60) if keys] == []
    assert parts.storage.abort_parts_older_than(prefix, 0) == 0
    parts.storage.put(f"{prefix}uploads/late", b"by an address that was still valid")
    set_row(parts.database, tombstone, 1, sweep_after=0)
    assert "1 swept" in purge.purge(parts)
    assert rows_left(parts) == {}
    assert [keys for keys in parts.storage.older_than(prefix, -60) if keys] == []


def test_deletion_waits_for_leases_and_goes_on_after_a_death(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, upload_id = send(parts, zip_of(MEMBERS))
    unpack(parts, upload_id)
    set_row(parts.database, upload, upload_id, state="leased", lease_until=4e9)
    lifecycle.mark_deleted(parts.database, job_id)
    assert "0 erased" in purge.purge(parts)
    set_row(parts.database, upload, upload_id, lease_until=1)
    monkeypatch.setattr(lifecycle, "ERASE_ROWS", 2)
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "erase", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            purge.purge(parts)
    assert "1 erased" in purge.purge(parts)
    assert rows_left(parts) == {"tombstone": 1}
    with pytest.raises(UnknownJob):
        lifecycle.mark_deleted(parts.database, job_id)


def test_retention_deletes_jobs_that_ended_long_ago(parts: Parts) -> None:
    old, new = make_job(parts.database), make_job(parts.database)
    set_row(parts.database, job, old.job, state="done", ended_at=1.0)
    set_row(parts.database, job, new.job, state="done", ended_at=4e9)
    assert "0 outdated" in purge.purge(parts)  # off by default
    kept = Parts(parts.settings.model_copy(update={"retention_days": 30}), *list(_rest(parts)))
    assert "1 outdated, 1 erased" in purge.purge(kept)
    assert row_of(parts.database, job, new.job).state == "done"


def _rest(parts: Parts) -> tuple[object, ...]:
    return parts.database, parts.storage, parts.doorbell


def test_an_upload_that_received_nothing_for_an_hour_is_given_up(parts: Parts) -> None:
    made = make_job(parts.database, upload_state="receiving", unit_state="done")
    set_row(parts.database, upload, made.upload, touched_at=1.0)
    assert "1 abandoned" in purge.purge(parts)
    row = row_of(parts.database, upload, made.upload)
    assert (row.state, row.error_code) == ("failed", "upload_abandoned")
    assert "a.zip received nothing for 60 minutes" in row.error


def test_objects_that_no_row_names_are_removed_once_they_are_old(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, upload_id = send(parts, zip_of(MEMBERS))
    unpack(parts, upload_id)
    stray = "jobs/0/shards/stray.tar"
    parts.storage.put(stray, b"of an unpacker that lost its lease")
    purge.remove_unreferenced(parts)
    assert parts.storage.size(stray) is not None
    monkeypatch.setattr(purge, "UNREFERENCED_S", -60.0)
    purge.remove_unreferenced(parts)
    assert parts.storage.size(stray) is None
    assert len({row.shard_id for row in clips_of(parts, upload_id)}) == 3
    with parts.database.read() as connection:
        keys = connection.execute(select(metadata.tables["shard"].c.object_key)).scalars().all()
    assert all(parts.storage.size(key) is not None for key in keys)
