"""The one row of `retraining`: who may train, when that is due, and what became of the last time.

`shared.jobs.retraining` is what is made of these statements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, null, or_, select, update

from shared.database.leasing import change_leased, take_lease
from shared.database.sessions import Database
from shared.database.tables import retraining


@dataclass(frozen=True, slots=True)
class RetrainingLease:
    """The right to train.

    asked: by a person, whatever the number of labels; since: when it was taken, by the database's clock.
    """

    attempts: int
    asked: bool
    since: float


@dataclass(frozen=True, slots=True)
class RetrainingRow:
    """The row of `retraining`, and whether somebody trains now. Times are seconds since 1970."""

    asked_at: float | None
    taken_at: float | None
    ended_at: float | None
    text: str | None
    is_running: bool


def ask_for_retraining(connection: Connection, database: Database) -> None:
    """Have the next retraining train, however few labels are new."""
    asked_at = database.clock_after(retraining.c.taken_at)
    connection.execute(update(retraining).values(asked_at=asked_at))


def is_due(connection: Connection, database: Database, every_s: float) -> bool:
    """Whether nobody trains, and a retraining was asked for or `every_s` seconds have passed."""
    statement = select(retraining.c.id).where(*_available(database, every_s))
    return connection.execute(statement).one_or_none() is not None


def _available(database: Database, every_s: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    now, row = database.clock, retraining.c
    is_free = or_(row.lease_until.is_(None), row.lease_until < now)
    return is_free, or_(row.asked_at.is_not(None), row.ended_at.is_(None), row.ended_at < now - every_s)


def lease_retraining(
    connection: Connection, database: Database, every_s: float, lease_s: float
) -> RetrainingLease | None:
    """Lease the row where it is due; None where another holds it or it is not."""
    now, row = database.clock, retraining.c
    not_before_asked = case((row.asked_at > now, row.asked_at), else_=now)
    taken = take_lease(
        connection,
        database,
        retraining,
        *_available(database, every_s),
        lease_s=lease_s,
        returning=[row.attempts, row.asked_at, row.taken_at],
        taken_at=not_before_asked,
    )
    if taken is None:
        return None
    return RetrainingLease(taken.attempts, taken.asked_at is not None, taken.taken_at)


def change_retraining(connection: Connection, lease: RetrainingLease, **values: Any) -> None:
    """Set `values` on the row, if it is still ours; else LeaseLost."""
    held = retraining.c.lease_until.is_not(None)
    change_leased(connection, retraining, lease.attempts, held, **values)


def end_retraining(connection: Connection, database: Database, lease: RetrainingLease, text: str) -> None:
    """This retraining is over, with what `text` says; what was asked for since it was taken stands."""
    asked_again = retraining.c.asked_at > lease.since
    asked_at = case((asked_again, retraining.c.asked_at), else_=null())
    change_retraining(
        connection, lease, lease_until=None, asked_at=asked_at, ended_at=database.clock, text=text
    )


def retraining_row(connection: Connection, database: Database) -> RetrainingRow:
    """How it stands."""
    row = retraining.c
    is_running = and_(row.lease_until.is_not(None), row.lease_until >= database.clock)
    statement = select(row.asked_at, row.taken_at, row.ended_at, row.text, is_running.label("is_running"))
    found = connection.execute(statement).mappings().one()
    return RetrainingRow(**{**found, "is_running": bool(found["is_running"])})
