"""Cancel, retry, delete and purge, on a real store and both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from shared.core.errors.requests import UnknownJob, WrongJobState
from shared.database import deletion
from shared.database.leasing import LeaseLost
from shared.database.tables import clip_try, job, metadata, prediction, tombstone, unit, upload
from shared.jobs import leases, lifecycle
from shared.store.names import StoredObject, job_prefix
from tests.archive_builders import zip_of
from tests.integration.builders import add_prediction, make_job, row_of, set_row
from tests.integration.sending import clips_of, send
from workers import purge
from workers.services import Services
from workers.unpack import unpack

MEMBERS = {f"{n}.wav": b"%d" % n for n in range(7)} | {"twin.wav": b"1"}


def rows_left(services: Services) -> dict[str, int]:
    """How many rows each table has, but for those of no job."""
    with services.database.read() as connection:
        counts = {
            table.name: len(connection.execute(select(table)).all()) for table in metadata.sorted_tables
        }
    return {name: count for name, count in counts.items() if count and name != "retraining"}


def predict(services: Services, unit_id: int, outcomes: dict[int, str]) -> None:
    """Complete a unit with these outcomes."""
    for clip_id, outcome in outcomes.items():
        add_prediction(services.database, clip_id, unit_id, outcome)
    set_row(services.database, unit, unit_id, state="done")


def test_cancel_stops_what_is_under_way_and_keeps_its_place(services: Services) -> None:
    job_id, upload_id = send(services, zip_of(MEMBERS))
    lease = leases.take(services.database, upload, upload_id, 60)
    assert lease is not None
    lifecycle.cancel(services.database, job_id)
    with pytest.raises(LeaseLost):
        leases.renew(services.database, lease, 60)
    assert leases.take(services.database, upload, upload_id, 60) is None
    assert row_of(services.database, job, job_id).ended_at is not None
    with pytest.raises(WrongJobState, match=f"Job {job_id} is cancelled; only a job that is open or running"):
        lifecycle.cancel(services.database, job_id)


def test_retry_of_a_cancelled_job_goes_on_where_it_was(services: Services) -> None:
    job_id, upload_id = send(services, zip_of(MEMBERS))
    leases.take(services.database, upload, upload_id, 60)
    lifecycle.cancel(services.database, job_id)
    bells = lifecycle.retry(services.database, job_id, [])
    assert [(bell.task, bell.id) for bell in bells] == [("unpack", upload_id)]
    assert unpack(services, upload_id) == "8 recordings"
    assert row_of(services.database, job, job_id).state == "running"
    assert row_of(services.database, upload, upload_id).attempts == 2  # it fences, so it never goes back


def test_retry_runs_failed_clips_again_and_leaves_the_others(services: Services) -> None:
    job_id, upload_id = send(services, zip_of({"a": b"a", "b": b"b", "c": b"c", "d": b"d"}))
    unpack(services, upload_id)
    rows = clips_of(services, upload_id)
    with services.database.read() as connection:
        first, second = connection.execute(select(unit.c.id).where(unit.c.job_id == job_id)).scalars()
    predict(services, first, {rows[0].id: "classified", rows[1].id: "failed", rows[2].id: "no_voice"})
    predict(services, second, {rows[3].id: "rejected"})
    set_row(services.database, unit, first, crashes=2)
    with services.database.write() as connection:
        connection.execute(insert(clip_try).values(unit_id=first, clip_id=rows[1].id, tries=3))
    assert leases.close_job(services.database, job_id) == "done"
    bells = lifecycle.retry(services.database, job_id, [])
    assert [bell.id for bell in bells] == [first]
    again, untouched = row_of(services.database, unit, first), row_of(services.database, unit, second)
    assert (again.state, again.crashes, untouched.state) == ("pending", 0, "done")
    with services.database.read() as connection:
        left = set(connection.execute(select(prediction.c.clip_id)).scalars())
        assert connection.execute(select(clip_try)).all() == []
    assert left == {rows[0].id, rows[2].id, rows[3].id}


def test_retry_takes_failed_uploads_that_are_still_in_the_store(services: Services) -> None:
    job_id, upload_id = send(services, zip_of({}), "empty.zip")
    unpack(services, upload_id)
    row = row_of(services.database, upload, upload_id)
    assert row.state == "failed"
    assert services.storage.size(StoredObject(row.object_key)) is not None
    assert lifecycle.retry(services.database, job_id, []) == []
    leases.close_job(services.database, job_id)
    assert [bell.id for bell in lifecycle.retry(services.database, job_id, [upload_id])] == [upload_id]
    assert row_of(services.database, upload, upload_id).error is None


@pytest.mark.parametrize("state", ["open", "running", "deleting"])
def test_only_ended_jobs_are_retried(services: Services, state: str) -> None:
    made = make_job(services.database)
    set_row(services.database, job, made.job, state=state)
    with pytest.raises(WrongJobState):
        lifecycle.retry(services.database, made.job, [])


def test_a_deleted_job_leaves_nothing_but_a_tombstone_and_then_nothing(services: Services) -> None:
    job_id, upload_id = send(services, zip_of(MEMBERS))
    _, broken = send(services, zip_of({}), "empty.zip", job_id)
    unpack(services, upload_id)
    unpack(services, broken)
    rows = clips_of(services, upload_id)
    assert any(row.duplicate_of for row in rows)
    with services.database.read() as connection:
        unit_id = connection.execute(select(unit.c.id).where(unit.c.job_id == job_id)).scalars().first()
    predict(services, unit_id, {rows[0].id: "classified"})
    prefix = job_prefix(row_of(services.database, job, job_id).key)
    key = f"{prefix}uploads/unfinished"
    services.storage.put_part(key, services.storage.begin_parts(key), 1, bytes(5 * 2**20))
    lifecycle.mark_deleted(services.database, job_id)
    assert "1 erased" in purge.purge(services)
    assert rows_left(services) == {"tombstone": 1}
    assert [keys for keys in services.storage.older_than(prefix, -60) if keys] == []
    assert services.storage.abort_parts_older_than(prefix, 0) == 0
    services.storage.put(f"{prefix}uploads/late", b"by an address that was still valid")
    set_row(services.database, tombstone, 1, sweep_after=0)
    assert "1 swept" in purge.purge(services)
    assert rows_left(services) == {}
    assert [keys for keys in services.storage.older_than(prefix, -60) if keys] == []


def test_deletion_waits_for_leases_and_goes_on_after_a_death(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, upload_id = send(services, zip_of(MEMBERS))
    unpack(services, upload_id)
    set_row(services.database, upload, upload_id, state="leased", lease_until=4e9)
    lifecycle.mark_deleted(services.database, job_id)
    assert "0 erased" in purge.purge(services)
    set_row(services.database, upload, upload_id, lease_until=1)
    monkeypatch.setattr(deletion, "ERASE_ROWS", 2)
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "erase", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            purge.purge(services)
    assert "1 erased" in purge.purge(services)
    assert rows_left(services) == {"tombstone": 1}
    with pytest.raises(UnknownJob):
        lifecycle.mark_deleted(services.database, job_id)


def test_retention_deletes_jobs_that_ended_long_ago(services: Services) -> None:
    old, new = make_job(services.database), make_job(services.database)
    set_row(services.database, job, old.job, state="done", ended_at=1.0)
    set_row(services.database, job, new.job, state="done", ended_at=4e9)
    assert "0 outdated" in purge.purge(services)  # off by default
    kept = Services(services.settings.model_copy(update={"retention_days": 30}), *list(_rest(services)))
    assert "1 outdated, 1 erased" in purge.purge(kept)
    assert row_of(services.database, job, new.job).state == "done"


def _rest(services: Services) -> tuple[object, ...]:
    return services.database, services.storage, services.doorbell


def test_an_upload_that_received_nothing_for_an_hour_is_given_up(services: Services) -> None:
    made = make_job(services.database, upload_state="receiving", unit_state="done")
    set_row(services.database, upload, made.upload, touched_at=1.0)
    assert "1 abandoned" in purge.purge(services)
    row = row_of(services.database, upload, made.upload)
    assert (row.state, row.error_code) == ("failed", "upload_abandoned")
    assert "a.zip received nothing for 60 minutes" in row.error


def test_objects_that_no_row_names_are_removed_once_they_are_old(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, upload_id = send(services, zip_of(MEMBERS))
    unpack(services, upload_id)
    stray = "jobs/0/shards/stray.tar"
    services.storage.put(stray, b"of an unpacker that lost its lease")
    purge.remove_unreferenced(services)
    assert services.storage.size(StoredObject(stray)) is not None
    monkeypatch.setattr(purge, "UNREFERENCED_S", -60.0)
    purge.remove_unreferenced(services)
    assert services.storage.size(StoredObject(stray)) is None
    assert len({row.shard_id for row in clips_of(services, upload_id)}) == 3
    with services.database.read() as connection:
        keys = connection.execute(select(metadata.tables["shard"].c.object_key)).scalars().all()
    assert all(services.storage.size(StoredObject(key)) is not None for key in keys)
