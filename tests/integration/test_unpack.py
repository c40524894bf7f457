"""Unpack against a real store and queue: what is in the database and the store after it, and after deaths."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from shared.core.errors.infrastructure import StoreUnavailable
from shared.core.settings import Settings
from shared.database.tables import job, shard, unit, upload
from shared.jobs import leases
from shared.store.names import StoredObject
from shared.store.objects import Storage
from tests.archive_builders import encrypted_zip, packed_tar, tar_of, zip_of
from tests.integration.builders import row_of, set_row, wait_out_the_pause
from tests.integration.sending import clips_of, count, send
from workers import renewal
from workers.services import Services
from workers.unpack import Unpacking, unpack


def bytes_of(services: Services, row: Any) -> bytes:
    key = row_of(services.database, shard, row.shard_id).object_key
    return services.storage.get_range(StoredObject(key), row.offset, row.size)


@pytest.mark.parametrize("pack", [zip_of, tar_of, lambda members: tar_of(members, "w:gz")])
def test_every_member_becomes_a_clip_whose_bytes_are_where_its_row_says(
    services: Services, pack: Any
) -> None:
    members = {f"clips/{number}.wav": f"recording {number}".encode() * 100 for number in range(8)}
    _, upload_id = send(services, pack(members))
    assert unpack(services, upload_id) == "8 recordings"
    rows = clips_of(services, upload_id)
    assert {row.path: bytes_of(services, row) for row in rows} == members
    assert [row.member for row in rows] == list(range(8))
    ended = row_of(services.database, upload, upload_id)
    assert (ended.state, ended.clips, ended.shards, ended.failed, ended.duplicates) == ("done", 8, 3, 0, 0)
    assert count(services, unit) == 3
    assert services.storage.size(StoredObject(ended.object_key)) is None  # what was sent is not kept twice


def test_shards_are_plain_tars_of_the_recordings(services: Services) -> None:
    _, upload_id = send(services, zip_of({"x/one.WAV": b"1" * 1000, "two": b"2" * 5}))
    unpack(services, upload_id)
    key = row_of(services.database, shard, clips_of(services, upload_id)[0].shard_id).object_key
    with tarfile.open(fileobj=io.BytesIO(services.storage.get(StoredObject(key)))) as archive:
        assert [(info.name, info.size) for info in archive] == [("00000000.wav", 1000), ("00000001.bin", 5)]


def test_a_shard_is_closed_by_its_bytes_too(services: Services) -> None:
    _, upload_id = send(services, zip_of({f"{n}.wav": bytes([n]) * 40_000 for n in range(3)}))
    unpack(services, upload_id)
    assert row_of(services.database, upload, upload_id).shards == 3


def test_a_recording_larger_than_a_shard_is_a_shard_of_its_own(services: Services) -> None:
    large = bytes(range(256)) * 4096 * 13  # 13 MiB: three parts of 5 MiB
    members = {"a.wav": b"a", "large.wav": large, "b.wav": b"b"}
    _, upload_id = send(services, tar_of(members), "in.tar")
    unpack(services, upload_id)
    rows = clips_of(services, upload_id)
    assert {row.path: bytes_of(services, row) for row in rows} == members
    assert len({row.shard_id for row in rows}) == 3
    key = row_of(services.database, shard, rows[1].shard_id).object_key
    with tarfile.open(fileobj=io.BytesIO(services.storage.get(StoredObject(key)))) as archive:
        assert [(info.name, info.size) for info in archive] == [("00000001.wav", len(large))]


def test_members_that_cannot_be_taken_out_are_failed_clips(services: Services) -> None:
    members = {"secret.wav": b"s", "in.zip": zip_of({"a": b"a"}), "good.wav": b"g"}
    _, upload_id = send(services, encrypted_zip(members, "secret.wav"))
    unpack(services, upload_id)
    assert [(row.path, row.error_code) for row in clips_of(services, upload_id)] == [
        ("secret.wav", "encrypted"), ("in.zip", "nested_archive"), ("good.wav", None),
    ]  # fmt: skip
    ended = row_of(services.database, upload, upload_id)
    assert (ended.clips, ended.failed, ended.shards) == (3, 2, 1)


def test_the_same_bytes_are_computed_once_in_a_job(services: Services) -> None:
    job_id, first = send(services, zip_of({"1.wav": b"x", "2.wav": b"y", "3.wav": b"x", "4.wav": b"x"}))
    _, second = send(services, zip_of({"5.wav": b"y", "6.wav": b"z"}), "b.zip", job_id)
    unpack(services, first)
    unpack(services, second)
    rows = {row.path: row for row in clips_of(services, first) + clips_of(services, second)}
    originals = {path: row.id for path, row in rows.items() if row.duplicate_of is None}
    assert set(originals) == {"1.wav", "2.wav", "6.wav"}
    assert {path: row.duplicate_of for path, row in rows.items() if row.duplicate_of} == {
        "3.wav": originals["1.wav"], "4.wav": originals["1.wav"], "5.wav": originals["2.wav"],
    }  # fmt: skip
    assert row_of(services.database, upload, first).duplicates == 2
    assert row_of(services.database, upload, second).duplicates == 1


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize("puts_before_death", [0, 1, 2])
def test_unpacking_goes_on_where_it_was_killed(
    services: Services, pack: Any, puts_before_death: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies right after a shard was written and before the commit that names it."""
    members = {f"{n}.wav": f"recording {n}".encode() for n in range(10)}
    _, upload_id = send(services, pack(members))
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
            unpack(services, upload_id)
    assert row_of(services.database, upload, upload_id).next_member == 3 * puts_before_death
    set_row(services.database, upload, upload_id, lease_until=0)
    assert unpack(services, upload_id) == "10 recordings"
    rows = clips_of(services, upload_id)
    assert {row.path: bytes_of(services, row) for row in rows} == members
    assert len(rows) == 10


def test_a_worker_that_lost_its_lease_adds_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, upload_id = send(services, zip_of({f"{n}.wav": b"%d" % n for n in range(4)}))
    take = leases.take

    def taken_and_lost(*arguments: Any) -> Any:
        lease = take(*arguments)
        set_row(services.database, upload, upload_id, attempts=9)
        return lease

    with monkeypatch.context() as patch:
        patch.setattr(leases, "take", taken_and_lost)
        assert unpack(services, upload_id) == "lease lost; another worker has it"
    assert clips_of(services, upload_id) == []


def test_the_lease_is_renewed_while_much_comes_from_few_bytes(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 MB of zeros from one read of 4 kB, of which not even a recording is kept."""
    _, upload_id = send(services, packed_tar({"a.wav": b"RIFF" + bytes(40 * 10**6)}, "zst"), "in.tar.zst")
    renewals = []
    renew = leases.renew
    monkeypatch.setattr(renewal, "SHARE", 0)
    monkeypatch.setattr(leases, "renew", lambda *given: renewals.append(1) or renew(*given))
    settings = services.settings.model_copy(update={"max_clip_bytes": 1000})
    unpack(Services(settings, services.database, services.storage, services.doorbell), upload_id)
    assert [row.error_code for row in clips_of(services, upload_id)] == ["too_large"]
    assert len(renewals) >= 4


def test_an_empty_archive_fails_with_its_name_and_so_does_its_job(services: Services) -> None:
    job_id, upload_id = send(services, zip_of({"__MACOSX/._a": b"x", "folder/": b""}), "holiday.zip")
    unpack(services, upload_id)
    ended = row_of(services.database, upload, upload_id)
    assert (ended.state, ended.error_code) == ("failed", "empty_archive")
    assert ended.error.startswith("holiday.zip holds no recordings")
    assert row_of(services.database, job, job_id).state == "failed"


def test_of_a_truncated_archive_the_rest_is_kept_and_reported(services: Services) -> None:
    whole = zip_of({f"{n}.wav": bytes([n]) * 3000 for n in range(5)}, 0)
    _, upload_id = send(services, whole[:12_000])
    text = unpack(services, upload_id)
    ended = row_of(services.database, upload, upload_id)
    assert (ended.state, ended.error_code, ended.error) == ("done", "damaged_archive", text)
    codes = [row.error_code for row in clips_of(services, upload_id)]
    assert codes == [None, None, None, "damaged_member"]


def test_a_store_that_does_not_answer_gives_the_lease_back(services: Services) -> None:
    _, upload_id = send(services, zip_of({"a.wav": b"a"}))
    away = Settings(s3_endpoint="http://127.0.0.1:9")
    lost = Services(services.settings, services.database, Storage(away), services.doorbell)
    with pytest.raises(StoreUnavailable):
        unpack(lost, upload_id)
    left = row_of(services.database, upload, upload_id)
    assert (left.state, left.returns, left.crashes) == ("pending", 1, 0)
    wait_out_the_pause(services.database, upload, upload_id)
    assert unpack(services, upload_id) == "1 recording"
