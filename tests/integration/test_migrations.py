"""Migrations: what they make is what the code expects, forward and back."""

from __future__ import annotations

import time

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, inspect, select

from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import job, metadata


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
