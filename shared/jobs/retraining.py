"""Retraining's turn: who may train, when it is due, and how its result becomes the candidate.

The guarantee: at most one retraining has its result registered for each time that it was due or asked
for, whatever dies or is delivered twice; one that was killed leaves nothing behind, and the next begins anew.

The table `retraining` has one row. As in shared.jobs.leases a bell is only a reason to look: `take` is one
UPDATE that leases the row where retraining is asked for or due, `attempts` fences all that its holder
commits, and the holder renews between steps. Times are the database's clock, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, null, or_, select, update

from shared.database.sessions import Database
from shared.database.tables import alias, model, retraining
from shared.jobs.doorbell import RETRAIN, Bell, Doorbell
from shared.jobs.leases import LeaseLost

CANDIDATE = "candidate"
BELL = Bell(RETRAIN, 1, small=False, text="the labels so far")


@dataclass(frozen=True, slots=True)
class RetrainingLease:
    """The right to train. asked: by a person, whatever the number of labels; since: when it was taken."""

    attempts: int
    asked: bool
    since: float


def ask(database: Database) -> None:
    """Have the next turn train, however few labels are new."""
    with database.write() as connection:
        asked_at = database.clock_after(retraining.c.taken_at)
        connection.execute(update(retraining).values(asked_at=asked_at))


def ring_if_due(database: Database, doorbell: Doorbell, every_s: float) -> bool:
    """Ring where nobody has the turn, it is asked for or `every_s` have passed, and no bell waits."""
    with database.read() as connection:
        due = connection.execute(select(retraining.c.id).where(*_due(database, every_s))).one_or_none()
    if due is None or doorbell.waiting(BELL.queue):
        return False
    doorbell.ring([BELL])
    return True


def _due(database: Database, every_s: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    now, row = database.clock, retraining.c
    is_free = or_(row.lease_until.is_(None), row.lease_until < now)
    return is_free, or_(row.asked_at.is_not(None), row.ended_at.is_(None), row.ended_at < now - every_s)


def take(database: Database, every_s: float, lease_s: float) -> RetrainingLease | None:
    """Lease the turn for `lease_s` seconds; None where another has it or it is not due."""
    now, row = database.clock, retraining.c
    not_before_asked = case((row.asked_at > now, row.asked_at), else_=now)
    statement = (
        update(retraining)
        .where(*_due(database, every_s))
        .values(attempts=row.attempts + 1, lease_until=now + lease_s, taken_at=not_before_asked)
        .returning(row.attempts, row.asked_at, row.taken_at)
    )
    with database.write() as connection:
        taken = connection.execute(statement).one_or_none()
    return (
        None if taken is None else RetrainingLease(taken.attempts, taken.asked_at is not None, taken.taken_at)
    )


def renew(database: Database, lease: RetrainingLease, lease_s: float) -> None:
    """Hold the turn for another `lease_s` seconds, or raise LeaseLost."""
    with database.write() as connection:
        _fence(connection, lease, lease_until=database.clock + lease_s)


def give_back(database: Database, lease: RetrainingLease) -> None:
    """Let the next look begin it again: something outside failed that will be back."""
    with database.write() as connection:
        _fence(connection, lease, lease_until=None)


def end(database: Database, lease: RetrainingLease, text: str) -> None:
    """The turn is over without a version; `text` says why."""
    with database.write() as connection:
        _end(connection, database, lease, text)


def register(
    database: Database, lease: RetrainingLease, version: str, manifest: dict[str, Any], text: str
) -> None:
    """The version becomes the candidate, and the turn ends, in one transaction; or LeaseLost."""
    with database.write() as connection:
        _end(connection, database, lease, text)
        # As old as the labels that it saw: those that came meanwhile count for the next one.
        values = {"version": version, "manifest": manifest, "created_at": lease.since}
        # A job may have met it already, under its folder's own date.
        met = database.insert(model).values(values)
        connection.execute(met.on_conflict_do_update(index_elements=["version"], set_=values))
        moved = {"version": version, "moved_at": database.clock}
        statement = database.insert(alias).values(name=CANDIDATE, **moved)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=moved))


def _end(connection: Connection, database: Database, lease: RetrainingLease, text: str) -> None:
    asked_again = retraining.c.asked_at > lease.since
    asked_at = case((asked_again, retraining.c.asked_at), else_=null())
    _fence(connection, lease, lease_until=None, asked_at=asked_at, ended_at=database.clock, text=text)


def _fence(connection: Connection, lease: RetrainingLease, **values: Any) -> None:
    ours = and_(retraining.c.attempts == lease.attempts, retraining.c.lease_until.is_not(None))
    if connection.execute(update(retraining).where(ours).values(**values)).rowcount != 1:
        raise LeaseLost


def state(connection: Connection, database: Database) -> Row[Any]:
    """asked_at, taken_at, ended_at, text of the last turn, and whether one `is_running`."""
    row = retraining.c
    is_running = and_(row.lease_until.is_not(None), row.lease_until >= database.clock)
    statement = select(row.asked_at, row.taken_at, row.ended_at, row.text, is_running.label("is_running"))
    return connection.execute(statement).one()
