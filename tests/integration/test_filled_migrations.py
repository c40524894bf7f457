"""Migrations of a database that is in use: nothing is lost on the way that the schema can hold."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, event, func, insert, select, text, update

from shared.core.errors.stack import DatabaseNewer
from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import (
    alias,
    api_key,
    clip,
    clip_try,
    consumption,
    job,
    label,
    metadata,
    model,
    prediction,
    promotion,
    retraining,
    review_sample,
    segment,
    tombstone,
    upload,
    upload_part,
    webhook,
)
from tests.integration.builders import Made, add_prediction, make_job
from tests.stacks import VOXMOOD, processes_of

Rows = dict[str, list[dict[str, Any]]]
# Of a job that came with an API key: the schema before keys knows one Idempotency-Key for all.
NOT_KEPT = {"idempotency_key", "idempotency_digest"}
REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010"]


def fill(database: Database) -> Made:
    """Rows in every table, by the definitions of today."""
    with database.write() as connection:
        key = {"prefix": "vm_12345678", "digest": "d" * 64, "scopes": "submit read", "created_at": 1.5}
        key_id = connection.execute(insert(api_key).values(key).returning(api_key.c.id)).scalar_one()
    made = make_job(database, clips=4, key_id=key_id, idempotency_key="again", idempotency_digest="e" * 64,
                    windows="sliding", win_s=2.5, hop_s=0.5, channels="separate",
                    encoding="cp932")  # fmt: skip
    chances = {"happy": 0.75, "sad": 0.25}
    add_prediction(database, made.clips[0], made.unit, "classified", "seed-v6", emotion="happy",
                   confidence=0.75, threshold=0.7, duration_s=3.25, probabilities=chances,
                   quality="noisy", bandwidth_hz=8000.0, snr_db=12.0, voiced_s=1.5)  # fmt: skip
    add_prediction(database, made.clips[1], made.unit, "failed", "seed-v6", error_code="too_short",
                   error="{path} lasts 0.062 s")  # fmt: skip
    of_job = {"job_id": made.job, "upload_id": made.upload}
    rows: dict[Table, dict[str, Any]] = {
        clip_try: {"unit_id": made.unit, "clip_id": made.clips[2], "tries": 2},
        consumption: {"queue": "classify", "seen_at": 2.5},
        label: {"clip_id": made.clips[0], "emotion": "sad", "labeller": "second ear", "created_at": 3.5},
        model: {"version": "seed-v7", "manifest": {"labels": ["happy", "sad"]}, "created_at": 4.5},
        alias: {"name": "champion", "version": "seed-v7", "moved_at": 5.5},
        promotion: {"version": "seed-v7", "previous": "seed-v6", "promoted_by": "the owner",
                    "promoted_at": 5.5},
        review_sample: {"job_id": made.job, "number": 0, "clip_id": made.clips[0]},
        tombstone: {"prefix": "jobs/gone/", "sweep_after": 6.5},
        segment: {"clip_id": made.clips[0], "model_version": "seed-v6", "number": 0, "channel": 2,
                  "start_s": 0.5, "end_s": 3.25, "outcome": "rejected", "confidence": 0.5,
                  "probabilities": chances},
        upload_part: {"upload_id": made.upload, "number": 1, "etag": "tag", "bytes": 5},
        webhook: {"job_id": made.job, "url": "https://example.org/hook", "private": False},
    }  # fmt: skip
    with database.write() as connection:
        for table, row in rows.items():
            connection.execute(insert(table).values(row))
        copy = {"member": 7, "path": "cöpy.wav", "sha256": f"{0:064d}", "duplicate_of": made.clips[0]}
        locked = {"member": 8, "path": "locked.wav", "error_code": "encrypted", "error": "locked.wav is …"}
        for row in (copy, locked):
            connection.execute(insert(clip).values(of_job | row))
        connection.execute(update(upload).values(bucket="tapes", touched_at=7.5, crashes=1, not_before=8.5))
        connection.execute(update(job).values(run_started_at=9.5, run_done=2))
        connection.execute(update(retraining).values(attempts=3, text="it was no better"))
    return made


def rows_of(database: Database) -> Rows:
    """All rows of all tables and of the view, as the database itself describes them."""
    reflected = MetaData()
    with database.read() as connection:
        reflected.reflect(connection, views=True)
        found = {
            name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for name, table in reflected.tables.items()
            if name != "alembic_version"
        }
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def held(rows: Rows, by: Rows) -> Rows:
    """The part of `rows` for which the schema of `by` has tables and columns."""
    columns = {name: set(some[0]) - NOT_KEPT if some else set() for name, some in by.items()}
    services = {
        name: [{key: row[key] for key in row if key in columns[name]} for row in rows[name]] for name in by
    }
    return {name: sorted(part, key=repr) for name, part in services.items()}


def test_every_revision_is_tried() -> None:
    assert upgrade.head() == REVISIONS[-1]


def test_a_filled_database_goes_back_and_forward_and_keeps_what_each_schema_can_hold(
    database: Database,
) -> None:
    fill(database)
    newest = rows_of(database)
    assert set(newest) == {*metadata.tables, "results"}
    for revision in reversed(REVISIONS[:-1]):
        upgrade.downgrade(database, revision)
        there = rows_of(database)
        assert all(there.values()), "each table has rows"
        assert held(there, there) == held(newest, there)
        upgrade.upgrade(database)
        again = rows_of(database)
        assert held(again, there) == held(there, there)
        upgrade.downgrade(database, revision)
        assert rows_of(database) == there
    upgrade.upgrade(database)
    again = rows_of(database)
    placed = [(row["job_id"], row["upload_id"], row["member"]) for row in again["prediction"]]
    assert placed == [(row["job_id"], row["upload_id"], row["member"]) for row in newest["prediction"]]
    measured_no_more = dict.fromkeys(("quality", "bandwidth_hz", "snr_db", "voiced_s"))
    assert again["results"] == sorted((row | measured_no_more for row in newest["results"]), key=repr)
    assert len(again["results"]) == 4  # two predictions, one copy, one that unpack ended


def killed_after(database: Database, statements: int) -> bool:
    """Upgrade in another process that is killed after so many statements; false: it came to its end."""
    database.close()  # no connection may be open on both sides of a fork
    pid = os.fork()
    if not pid:
        count = 0

        def kill(*_: object) -> None:
            nonlocal count
            count += 1
            if count == statements:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            own = Database(database.url.render_as_string(hide_password=False))
            event.listen(own.engine, "after_cursor_execute", kill)
            upgrade.upgrade(own)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_an_upgrade_that_was_killed_at_any_step_leaves_the_old_schema_and_can_be_run_again(
    database: Database,
) -> None:
    fill(database)
    upgrade.downgrade(database, "0001")
    before = rows_of(database)
    kills = 0
    for statements in range(3, 1000, 9):
        if not killed_after(database, statements):
            break
        kills += 1
        assert upgrade.current(database) == "0001"
        assert rows_of(database) == before
    assert kills >= 5
    assert upgrade.current(database) == upgrade.head()
    assert held(rows_of(database), before) == held(before, before)


def test_a_database_of_a_newer_voxmood_is_refused_in_a_sentence(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseNewer, match=r"is of a newer voxmood \(its schema is 9999, this one knows"):
        upgrade.to_newest(database)
    assert upgrade.current(database) == "9999"


def test_before_its_schema_changes_sqlite_is_copied_and_the_copy_is_what_was(
    database: Database,
) -> None:
    fill(database)
    assert upgrade.to_newest(database) is None  # nothing to do, nothing to keep
    upgrade.downgrade(database, "0002")
    before = rows_of(database)
    kept = upgrade.to_newest(database)
    assert upgrade.current(database) == upgrade.head()
    if not database.is_sqlite:  # its servers have backups of their own
        assert kept is None
        return
    assert kept == Path(f"{database.url.database}.before-{upgrade.head()}")
    copy = Database(f"sqlite:///{kept}")
    assert rows_of(copy) == before
    copy.close()


@pytest.fixture
def large(database: Database) -> Iterator[Database]:
    """A database at 0001 with 200,000 predictions."""
    made = make_job(database, clips=1)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
    clips = (
        " INSERT INTO clip (job_id, upload_id, member, path, sha256, shard_id)"
        " SELECT :job, :upload, i, 'folder/' || i || '.wav', i, :shard FROM n"
    )
    with database.write() as connection:
        values = {"job": made.job, "upload": made.upload, "shard": made.shard}
        connection.execute(text(numbers + clips), values)
        values = select(
            clip.c.id, text("'seed-v6'"), text(str(made.unit)), text("'classified'"), text("'happy'"),
            text("0.9"), clip.c.job_id, clip.c.upload_id, clip.c.member,
        ).where(clip.c.member > 0)  # fmt: skip
        columns = ("clip_id", "model_version", "unit_id", "outcome", "emotion", "confidence", "job_id",
                   "upload_id", "member")  # fmt: skip
        connection.execute(insert(prediction).from_select(columns, values))
    upgrade.downgrade(database, "0001")
    return database


@pytest.mark.long
def test_200_000_predictions_are_migrated_and_keep_their_place(large: Database) -> None:
    began = time.monotonic()
    upgrade.upgrade(large)
    seconds = time.monotonic() - began
    print(f"{large.url.get_backend_name()}: 200,000 predictions in {seconds:.1f} s")
    with large.read() as connection:
        assert connection.execute(select(func.count()).select_from(prediction)).scalar_one() == 200_000
        strays = select(func.count()).select_from(prediction).join(clip, clip.c.id == prediction.c.clip_id)
        assert connection.execute(strays.where(clip.c.member != prediction.c.member)).scalar_one() == 0


def test_up_on_a_database_of_a_newer_voxmood_says_so_and_starts_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'voxmood.db'}")
    upgrade.upgrade(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    env = {name: value for name, value in os.environ.items() if not name.startswith("VOXMOOD_")}
    command = [VOXMOOD, "up", "--detach", "--state", tmp_path]
    done = subprocess.run(command, env=env | {"COLUMNS": "400"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is of a newer voxmood (its schema is 9999" in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_of(tmp_path) == []
