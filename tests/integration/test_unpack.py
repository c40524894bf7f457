"""Unpack against a real store and queue: what is in the database and the store after it, and after deaths."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from shared.core.errors.surroundings import StoreUnavailable
from shared.core.settings import Settings
from shared.database.sessions import Database
from shared.database.tables import clip, job, shard, unit, upload
from shared.jobs import leases
from shared.jobs.doorbell import Doorbell, celery_app
from shared.store.objects import Storage
from tests.archive_builders import encrypted_zip, packed_tar, tar_of, zip_of
from tests.integration.builders import row_of, set_row, wait_out_the_pause
from tests.servers import Store
from workers import renewal
from workers.parts import Parts
from workers.unpack import Unpacking, unpack

MEBIBYTE = 2**20


@pytest.fixture
def parts(
    database: Database, store: Store, valkey: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Parts]:
    """Parts of an unpack worker with small shards: 3 clips or 64 kB."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VOXMOOD_BROKER_URL", valkey)
    settings = Settings(shard_clips=3, shard_bytes=64_000, part_bytes=5 * MEBIBYTE)
    storage = Storage(settings)
    storage.ensure_bucket()
    yield Parts(settings, database, storage, Doorbell(celery_app(settings)))


def send(parts: Parts, body: bytes, name: str = "in.zip", job_id: int | None = None) -> tuple[int, int]:
    """A running job with one upload that lies in the store."""
    with parts.database.write() as connection:
        if job_id is None:
            values = {"key": uuid4().hex, "state": "running", "model_version": "v",
                      "created_at": parts.database.clock}  # fmt: skip
            job_id = connection.execute(insert(job).values(values).returning(job.c.id)).scalar_one()
        key = f"jobs/{uuid4().hex}/uploads/{name}"
        values = {"job_id": job_id, "name": name, "object_key": key, "state": "pending", "bytes": len(body)}
        upload_id = connection.execute(insert(upload).values(values).returning(upload.c.id)).scalar_one()
    parts.storage.put(key, body)
    return job_id, upload_id


def clips_of(parts: Parts, upload_id: int) -> list[Any]:
    with parts.database.read() as connection:
        statement = select(clip).where(clip.c.upload_id == upload_id).order_by(clip.c.member)
        return list(connection.execute(statement))


def bytes_of(parts: Parts, row: Any) -> bytes:
    key = row_of(parts.database, shard, row.shard_id).object_key
    return parts.storage.get_range(key, row.offset, row.size)


def count(parts: Parts, table: Any) -> int:
    with parts.database.read() as connection:
        return len(connection.execute(select(table.c.id)).all())


@pytest.mark.parametrize("pack", [zip_of, tar_of, lambda members: tar_of(members, "w:gz")])
def test_every_member_becomes_a_clip_whose_bytes_are_where_its_row_says(parts: Parts, pack: Any) -> None:
    members = {f"clips/{number}.wav": f"recording {number}".encode() * 100 for number in range(8)}
    _, upload_id = send(parts, pack(members))
    assert unpack(parts, upload_id) == "8 recordings"
    rows = clips_of(parts, upload_id)
    assert {row.path: bytes_of(parts, row) for row in rows} == members
    assert [row.member for row in rows] == list(range(8))
    ended = row_of(parts.database, upload, upload_id)
    assert (ended.state, ended.clips, ended.shards, ended.failed, ended.duplicates) == ("done", 8, 3, 0, 0)
    assert count(parts, unit) == 3
    assert parts.storage.size(ended.object_key) is None  # what was sent is not kept twice


def test_shards_are_plain_tars_of_the_recordings(parts: Parts) -> None:
    _, upload_id = send(parts, zip_of({"x/one.WAV": b"1" * 1000, "two": b"2" * 5}))
    unpack(parts, upload_id)
    key = row_of(parts.database, shard, clips_of(parts, upload_id)[0].shard_id).object_key
    with tarfile.open(fileobj=io.BytesIO(parts.storage.get(key))) as archive:
        assert [(info.name, info.size) for info in archive] == [("00000000.wav", 1000), ("00000001.bin", 5)]


def test_a_shard_is_closed_by_its_bytes_too(parts: Parts) -> None:
    _, upload_id = send(parts, zip_of({f"{n}.wav": bytes([n]) * 40_000 for n in range(3)}))
    unpack(parts, upload_id)
    assert row_of(parts.database, upload, upload_id).shards == 3


def test_a_recording_larger_than_a_shard_is_a_shard_of_its_own(parts: Parts) -> None:
    large = bytes(range(256)) * 4096 * 13  # 13 MiB: three parts of 5 MiB
    members = {"a.wav": b"a", "large.wav": large, "b.wav": b"b"}
    _, upload_id = send(parts, tar_of(members), "in.tar")
    unpack(parts, upload_id)
    rows = clips_of(parts, upload_id)
    assert {row.path: bytes_of(parts, row) for row in rows} == members
    assert len({row.shard_id for row in rows}) == 3
    key = row_of(parts.database, shard, rows[1].shard_id).object_key
    with tarfile.open(fileobj=io.BytesIO(parts.storage.get(key))) as archive:
        assert [(info.name, info.size) for info in archive] == [("00000001.wav", len(large))]


def test_members_that_cannot_be_taken_out_are_failed_clips(parts: Parts) -> None:
    members = {"secret.wav": b"s", "in.zip": zip_of({"a": b"a"}), "good.wav": b"g"}
    _, upload_id = send(parts, encrypted_zip(members, "secret.wav"))
    unpack(parts, upload_id)
    assert [(row.path, row.error_code) for row in clips_of(parts, upload_id)] == [
        ("secret.wav", "encrypted"), ("in.zip", "nested_archive"), ("good.wav", None),
    ]  # fmt: skip
    ended = row_of(parts.database, upload, upload_id)
    assert (ended.clips, ended.failed, ended.shards) == (3, 2, 1)


def test_the_same_bytes_are_computed_once_in_a_job(parts: Parts) -> None:
    job_id, first = send(parts, zip_of({"1.wav": b"x", "2.wav": b"y", "3.wav": b"x", "4.wav": b"x"}))
    _, second = send(parts, zip_of({"5.wav": b"y", "6.wav": b"z"}), "b.zip", job_id)
    unpack(parts, first)
    unpack(parts, second)
    rows = {row.path: row for row in clips_of(parts, first) + clips_of(parts, second)}
    originals = {path: row.id for path, row in rows.items() if row.duplicate_of is None}
    assert set(originals) == {"1.wav", "2.wav", "6.wav"}
    assert {path: row.duplicate_of for path, row in rows.items() if row.duplicate_of} == {
        "3.wav": originals["1.wav"], "4.wav": originals["1.wav"], "5.wav": originals["2.wav"],
    }  # fmt: skip
    assert row_of(parts.database, upload, first).duplicates == 2
    assert row_of(parts.database, upload, second).duplicates == 1


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("puts_before_death", [0, 1, 2])
def test_unpacking_goes_on_where_it_was_killed(
    parts: Parts, pack: Any, puts_before_death: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies right after a shard was written and before the commit that names it."""
    members = {f"{n}.wav": f"recording {n}".encode() for n in range(10)}
    _, upload_id = send(parts, pack(members))
    commit = Unpacking._commit
    calls = 0

    def dies(self: Unpacking, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > puts_before_death:
            raise KeyboardInterrupt  # not an Exception: nothing is tidied up, as after kill -9
        return commit(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Unpacking, "_commit", dies)
        with pytest.raises(KeyboardInterrupt):
            unpack(parts, upload_id)
    assert row_of(parts.database, upload, upload_id).next_member == 3 * puts_before_death
    set_row(parts.database, upload, upload_id, lease_until=0)
    assert unpack(parts, upload_id) == "10 recordings"
    rows = clips_of(parts, upload_id)
    assert {row.path: bytes_of(parts, row) for row in rows} == members
    assert len(rows) == 10


def test_a_worker_that_lost_its_lease_adds_nothing(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    _, upload_id = send(parts, zip_of({f"{n}.wav": b"%d" % n for n in range(4)}))
    take = leases.take

    def taken_and_lost(*arguments: Any) -> Any:
        lease = take(*arguments)
        set_row(parts.database, upload, upload_id, attempts=9)
        return lease

    with monkeypatch.context() as patch:
        patch.setattr(leases, "take", taken_and_lost)
        assert unpack(parts, upload_id) == "lease lost; another worker has it"
    assert clips_of(parts, upload_id) == []


def test_the_lease_is_renewed_while_much_comes_from_few_bytes(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 MB of zeros from one read of 4 kB, of which not even a recording is kept."""
    _, upload_id = send(parts, packed_tar({"a.wav": b"RIFF" + bytes(40 * 10**6)}, "zst"), "in.tar.zst")
    renewals = []
    renew = leases.renew
    monkeypatch.setattr(renewal, "SHARE", 0)
    monkeypatch.setattr(leases, "renew", lambda *given: renewals.append(1) or renew(*given))
    settings = parts.settings.model_copy(update={"max_clip_bytes": 1000})
    unpack(Parts(settings, parts.database, parts.storage, parts.doorbell), upload_id)
    assert [row.error_code for row in clips_of(parts, upload_id)] == ["too_large"]
    assert len(renewals) >= 4


def test_an_empty_archive_fails_with_its_name_and_so_does_its_job(parts: Parts) -> None:
    job_id, upload_id = send(parts, zip_of({"__MACOSX/._a": b"x", "folder/": b""}), "holiday.zip")
    unpack(parts, upload_id)
    ended = row_of(parts.database, upload, upload_id)
    assert (ended.state, ended.error_code) == ("failed", "empty_archive")
    assert ended.error.startswith("holiday.zip holds no recordings")
    assert row_of(parts.database, job, job_id).state == "failed"


def test_of_a_truncated_archive_the_rest_is_kept_and_reported(parts: Parts) -> None:
    whole = zip_of({f"{n}.wav": bytes([n]) * 3000 for n in range(5)}, 0)
    _, upload_id = send(parts, whole[:12_000])
    text = unpack(parts, upload_id)
    ended = row_of(parts.database, upload, upload_id)
    assert (ended.state, ended.error_code, ended.error) == ("done", "damaged_archive", text)
    codes = [row.error_code for row in clips_of(parts, upload_id)]
    assert codes == [None, None, None, "damaged_member"]


def test_a_store_that_does_not_answer_gives_the_lease_back(parts: Parts) -> None:
    _, upload_id = send(parts, zip_of({"a.wav": b"a"}))
    away = Settings(s3_endpoint="http://127.0.0.1:9")
    lost = Parts(parts.settings, parts.database, Storage(away), parts.doorbell)
    with pytest.raises(StoreUnavailable):
        unpack(lost, upload_id)
    left = row_of(parts.database, upload, upload_id)
    assert (left.state, left.returns, left.crashes) == ("pending", 1, 0)
    wait_out_the_pause(parts.database, upload, upload_id)
    assert unpack(parts, upload_id) == "1 recording"
