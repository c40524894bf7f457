"""Migrations: what they make is what the code expects, forward and back."""

from __future__ import annotations

import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text

from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import job, metadata, prediction


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # SQLite's cannot be compared
def test_the_migrated_schema_is_the_one_in_the_code(database: Database) -> None:
    assert upgrade.current(database) == upgrade.head()
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_go_forward_back_and_forward(empty_database: Database) -> None:
    assert upgrade.current(empty_database) is None
    upgrade.upgrade(empty_database)
    upgrade.downgrade(empty_database, "base")
    with empty_database.read() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
        assert inspect(connection).get_view_names() == []
    upgrade.upgrade(empty_database)
    upgrade.upgrade(empty_database)  # a second time does nothing
    assert upgrade.current(empty_database) == upgrade.head()


def test_ids_are_never_used_again(database: Database) -> None:
    values = {"state": "open", "model_version": "v", "created_at": database.clock}
    with database.write() as connection:
        first = connection.execute(insert(job).values(values | {"key": "a"}).returning(job.c.id)).scalar_one()
        connection.execute(job.delete())
        second = connection.execute(
            insert(job).values(values | {"key": "b"}).returning(job.c.id)
        ).scalar_one()
    assert second > first


def test_the_clock_is_seconds_since_1970_and_moves_within_a_transaction_s_life(database: Database) -> None:
    with database.read() as connection:
        read = connection.execute(select(database.clock)).scalar_one()
    assert abs(read - time.time()) < 5


def test_predictions_of_the_first_schema_keep_their_place_and_the_view_its_rows(
    empty_database: Database,
) -> None:
    upgrade.upgrade(empty_database, "0001")
    with empty_database.write() as connection:
        for statement in (
            "INSERT INTO job (id, key, state, model_version, created_at) VALUES (1, 'k', 'done', 'v', 0)",
            "INSERT INTO upload (id, job_id, name, object_key, state) VALUES (2, 1, 'a.zip', 'o', 'done')",
            "INSERT INTO shard (id, job_id, upload_id, number, object_key, bytes, clips)"
            " VALUES (3, 1, 2, 1, 's', 9, 1)",
            "INSERT INTO unit (id, job_id, shard_id, model_version, state) VALUES (4, 1, 3, 'v', 'done')",
            "INSERT INTO clip (id, job_id, upload_id, member, path, shard_id)"
            " VALUES (5, 1, 2, 7, 'a.wav', 3)",
            "INSERT INTO prediction (clip_id, model_version, unit_id, outcome)"
            " VALUES (5, 'v', 4, 'no_voice')",
        ):
            connection.execute(text(statement))
    view = text("SELECT job, path, outcome, upload, clip_id FROM results")
    upgrade.upgrade(empty_database)
    with empty_database.read() as connection:
        assert connection.execute(view).all() == [(1, "a.wav", "no_voice", "a.zip", 5)]
        kept = connection.execute(select(prediction.c["job_id", "upload_id", "member"])).one()
        assert kept == (1, 2, 7)
    upgrade.downgrade(empty_database, "0001")
    with empty_database.read() as connection:
        assert connection.execute(view).all() == [(1, "a.wav", "no_voice", "a.zip", 5)]
