"""Database and store that are away, busy, full, or break off: what becomes of it, and of the work in hand."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from sqlalchemy import Connection, insert, select, text

from shared.core.errors.infrastructure import (
    DatabaseFull,
    DatabaseUnavailable,
    ObjectMissing,
    StoreBrokeOff,
    StoreUnavailable,
)
from shared.core.settings import Settings
from shared.database import sessions, upgrade
from shared.database.clips import ClipToClassify
from shared.database.sessions import Database
from shared.database.tables import clip_try, shard, tombstone, unit, upload
from shared.jobs import leases
from shared.models.serving.classifier import Classifier
from shared.store.names import StoredObject
from shared.store.objects import Storage
from tests.archive_builders import zip_of
from tests.integration.builders import make_job, row_of, set_row, wait_out_the_pause
from tests.integration.sending import outcomes, send, sent
from workers import ending
from workers.classify import Classifying, classify
from workers.services import Services
from workers.unpack import MOST_CRASHES, unpack


@pytest.fixture
def sqlite_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(sessions, "_BUSY_TIMEOUT_MS", 50)
    database = Database(f"sqlite:///{tmp_path / 'voxmood.db'}")
    upgrade.upgrade(database)
    yield database
    database.close()


def bury(connection: Connection) -> None:
    connection.execute(insert(tombstone).values(prefix="jobs/x/", sweep_after=0))


def test_a_database_that_others_hold_locked_is_waited_for(sqlite_database: Database) -> None:
    other = sqlite3.connect(str(sqlite_database.url.database), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable), sqlite_database.write() as connection:
        bury(connection)
    threading.Timer(0.5, other.execute, ("ROLLBACK",)).start()
    sqlite_database.write_again(bury)
    with sqlite_database.read() as connection:
        assert len(connection.execute(select(tombstone)).all()) == 1


def test_a_disk_without_room_is_said_so_and_nothing_is_half_written(sqlite_database: Database) -> None:
    with pytest.raises(DatabaseFull), sqlite_database.write() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        bury(connection)
        rows = [{"prefix": "x" * 4000 + str(n), "sweep_after": 0} for n in range(100)]
        connection.execute(insert(tombstone), rows)
    with sqlite_database.read() as connection:
        assert connection.execute(select(tombstone)).all() == []


def test_a_connection_that_the_server_ends_is_no_lost_transaction(postgres_database: str) -> None:
    database = Database(postgres_database)
    upgrade.upgrade(database)
    killed = []

    def work(connection: Connection) -> None:
        bury(connection)
        if not killed:
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            killed.append(own)
            with database.read() as other:
                other.execute(text(f"SELECT pg_terminate_backend({own})"))

    database.write_again(work)
    with database.read() as connection:
        assert len(connection.execute(select(tombstone)).all()) == 1
    database.close()


@contextmanager
def cutting_server(cuts: int) -> Iterator[str]:
    """A store behind a bad line: the first `cuts` answers end in the middle of their body."""
    body = b"0123456789" * 100
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for number in range(cuts + 1):
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + (body[:500] if number < cuts else body))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()


def test_a_body_that_breaks_off_is_noticed_and_read_again() -> None:
    with cutting_server(cuts=2) as address:
        storage = Storage(Settings(s3_endpoint=address, s3_secret_key="x"), read_timeout_s=20)
        assert storage.get(StoredObject("key")) == b"0123456789" * 100


def test_a_store_that_breaks_off_each_time_is_said_so_in_bounded_time() -> None:
    with cutting_server(cuts=1000) as address:
        storage = Storage(Settings(s3_endpoint=address, s3_secret_key="x"), read_timeout_s=1)
        with pytest.raises(StoreBrokeOff):
            storage.get_range(StoredObject("key"), 0, 1000)


def away(services: Services) -> Services:
    """The same without a store."""
    lost = Storage(Settings(s3_endpoint="http://127.0.0.1:9"), read_timeout_s=1, tries=1)
    return Services(services.settings, services.database, lost, services.doorbell)


def test_a_store_that_is_away_is_no_crash_and_the_pauses_grow(services: Services) -> None:
    upload_id, units = sent(services, ["a.wav"])
    for _ in range(12):
        with pytest.raises(StoreUnavailable):
            classify(away(services), units[0])
        wait_out_the_pause(services.database, unit, units[0])
    left = row_of(services.database, unit, units[0])
    assert (left.state, left.crashes, left.returns, left.attempts) == ("pending", 0, 12, 12)
    with services.database.read() as connection:
        assert connection.execute(select(clip_try)).all() == [], "that many attempts are no evidence"
    classify(services, units[0])
    assert outcomes(services, upload_id)["a.wav"][0] in ("classified", "rejected")


def test_an_upload_bears_a_store_that_is_away_more_often_than_an_archive_may_fail(services: Services) -> None:
    _, upload_id = send(services, zip_of({"a.wav": b"a"}))
    for _ in range(MOST_CRASHES + 1):
        with pytest.raises(StoreUnavailable):
            unpack(away(services), upload_id)
        wait_out_the_pause(services.database, upload, upload_id)
    assert unpack(services, upload_id) == "1 recording"


def test_an_upload_that_costs_each_child_its_life_fails_in_the_end(services: Services) -> None:
    _, upload_id = send(services, zip_of({"a.wav": b"a"}))
    for _ in range(MOST_CRASHES):
        leases.record_crash(services.database, upload, upload_id)
    assert "was lost each time" in unpack(services, upload_id)
    ended = row_of(services.database, upload, upload_id)
    assert (ended.state, ended.error_code) == ("failed", "unpack_failed")


def test_while_a_row_rests_nobody_takes_it_and_the_sweep_does_not_ring(database: Database) -> None:
    made = make_job(database)
    lease = leases.take(database, unit, made.unit, 60)
    assert lease is not None
    leases.give_back(database, lease, pause=True)
    set_row(database, unit, made.unit, not_before=database.clock + 60)
    everything = frozenset({"classify", "classify.small"})
    assert leases.take(database, unit, made.unit, 60) is None
    assert leases.sweep(database, 300, everything) == []
    set_row(database, unit, made.unit, not_before=database.clock - 1)
    assert [bell.id for bell in leases.sweep(database, 300, everything)] == [made.unit]
    assert leases.take(database, unit, made.unit, 60) is not None


def test_a_commit_whose_answer_was_lost_is_not_done_twice(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, upload_id = send(services, zip_of({f"{n}.wav": b"%d" % n for n in range(7)}))
    write = services.database.write
    lost = []

    @contextmanager
    def answers_get_lost() -> Iterator[Connection]:
        with write() as connection:
            yield connection
        if not lost and row_of(services.database, upload, upload_id).next_member:
            lost.append(True)
            raise DatabaseUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(services.database, "write", answers_get_lost)
        unpack(services, upload_id)
    assert lost
    assert row_of(services.database, upload, upload_id).state == "pending"
    assert unpack(services, upload_id) == "7 recordings"


def test_what_a_worker_that_ends_has_computed_is_kept(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id, units = sent(services, ["a.wav", "b.wav", "c.wav"])
    services.settings.batch_clips = 2
    computed = Classifying.classify

    def asked_to_end(*arguments: Any) -> object:
        ending.announce()
        return computed(*arguments)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(Classifying, "classify", asked_to_end)
            assert classify(services, units[0]) == "given back: this worker ends"
    finally:
        ending.prepare()
    left = row_of(services.database, unit, units[0])
    assert (left.state, left.lease_until, left.not_before, left.crashes) == ("pending", None, None, 0)
    assert len(outcomes(services, upload_id)) == 2
    classify(services, units[0])
    assert len(outcomes(services, upload_id)) == 3


def test_a_try_that_a_store_ended_is_not_held_against_the_clip(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, units = sent(services, ["a.wav"])
    set_row(services.database, unit, units[0], crashes=1)

    def gone(*_: object) -> None:
        raise StoreUnavailable(endpoint="x", reason="y")

    with monkeypatch.context() as patch:
        patch.setattr(Classifying, "classify", gone)
        with pytest.raises(StoreUnavailable):
            classify(services, units[0])
    with services.database.read() as connection:
        assert connection.execute(select(clip_try.c.tries)).scalars().all() == [0]


def test_a_clip_that_needs_too_much_memory_fails_and_the_others_do_not(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id, units = sent(services, ["a.wav", "greedy.wav", "b.wav"])
    computed = Classifying.classify

    def greedy(
        self: Classifying, network: Classifier, clips: list[tuple[ClipToClassify, BinaryIO]]
    ) -> object:
        if any(one.path == "greedy.wav" for one, _ in clips):
            raise MemoryError
        return computed(self, network, clips)

    with monkeypatch.context() as patch:
        patch.setattr(Classifying, "classify", greedy)
        assert "clip by clip" in classify(services, units[0])
        classify(services, units[0])
    found = outcomes(services, upload_id)
    assert found["greedy.wav"] == ("failed", "takes_too_much_memory")
    assert {found[path][0] for path in ("a.wav", "b.wav")} <= {"classified", "rejected"}


def test_a_shard_that_the_store_has_lost_fails_its_clips_in_the_end_not_at_once(services: Services) -> None:
    upload_id, units = sent(services, ["a.wav"])
    with services.database.read() as connection:
        key = connection.execute(select(shard.c.object_key)).scalars().one()
    services.storage.delete(key)
    with pytest.raises(ObjectMissing):
        classify(services, units[0])
    wait_out_the_pause(services.database, unit, units[0])
    set_row(services.database, unit, units[0], returns=leases.RETURNS_UNTIL_LOST)
    assert classify(services, units[0]) == "1 clips: 1 failed"
    assert outcomes(services, upload_id)["a.wav"] == ("failed", "lost_in_store")
