"""Rows of queues: when a worker last took something from each."""

from __future__ import annotations

from sqlalchemy import Connection, select

from shared.database.sessions import Database
from shared.database.tables import consumption


def note_consumption(connection: Connection, database: Database, queue: str) -> None:
    """A worker took something from this queue now."""
    seen = {"seen_at": database.clock}
    statement = database.insert(consumption).values(queue=queue, **seen)
    connection.execute(statement.on_conflict_do_update(index_elements=["queue"], set_=seen))


def consumed_since(connection: Connection, moment: float) -> set[str]:
    """Queues from which something was taken since then; seconds since 1970 by the database's clock."""
    statement = select(consumption.c.queue).where(consumption.c.seen_at >= moment)
    return set(connection.execute(statement).scalars())
