"""The lease protocol in two statements: take a row, and change it while it is still one's own.

Rows of three kinds are worked on by leases: uploads and units (`shared.database.work`), the retraining
(`shared.database.retrainings`) and webhooks (`shared.database.webhooks`). Each of these tables has a column
that says until when the lease holds, and `attempts`, which counts the leases. It never goes back, so it tells
one lease from another: whoever held an earlier one finds that `attempts` has moved on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, update

from shared.database.sessions import Database


class LeaseLost(Exception):
    """Another worker has this work now, or its job no longer runs: drop everything."""


def take_lease(
    connection: Connection,
    database: Database,
    table: Table,
    *available: ColumnElement[bool],
    until: str = "lease_until",
    lease_s: float,
    returning: Sequence[Column[Any]],
    **values: Any,
) -> Row[Any] | None:
    """Lease the row that is available, in one UPDATE: of two who try at once, one gets it.

    Args:
        connection: of a write transaction.
        database: its clock says until when the lease holds.
        table: whose row is to be leased.
        available: what the row must fulfil; at most one row may.
        until: the name of the column that says until when the lease holds.
        lease_s: seconds from now.
        returning: columns of the row as it is then.
        values: what else is set.

    Returns:
        The columns asked for, or None where no row is available.
    """
    leased = {until: database.clock + lease_s, "attempts": table.c.attempts + 1}
    statement = update(table).where(*available).values(leased | values).returning(*returning)
    return connection.execute(statement).one_or_none()


def change_leased(
    connection: Connection, table: Table, attempts: int, *ours: ColumnElement[bool], **values: Any
) -> None:
    """Set `values` on the row that one has leased.

    Args:
        connection: of a write transaction. What else it commits comes after this.
        table: whose row it is.
        attempts: the row's when the lease was taken.
        ours: which row it is, and what else must hold.
        values: what is set.

    Raises:
        LeaseLost: there is no such row any more.
    """
    statement = update(table).where(table.c.attempts == attempts, *ours).values(**values)
    if connection.execute(statement).rowcount != 1:
        raise LeaseLost
