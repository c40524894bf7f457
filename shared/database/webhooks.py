"""Rows of webhooks: whom a job's end is to be told, and when the next try is due.

`shared.jobs.webhooks` is what is made of these statements. A try is a lease of the row whose end, `due_at`,
is also when the next try may begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from shared.core.states import ENDED, WebhookState
from shared.database.leasing import LeaseLost, change_leased, take_lease
from shared.database.sessions import Database
from shared.database.tables import job, webhook


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """A row of `webhook`, as the job's document shows it."""

    job_id: int
    url: str
    state: WebhookState
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A job's end that one may now try to tell.

    private: the address may lead into a private network; last: a failure is final, the day is over.
    """

    job_id: int
    url: str
    private: bool
    event_id: str
    attempts: int
    last: bool


def webhooks_of(connection: Connection, job_ids: Sequence[int]) -> dict[int, WebhookRow]:
    """The webhooks of these jobs that have one, by job."""
    shown = webhook.c["job_id", "url", "state", "attempts", "error"]
    rows = connection.execute(select(*shown).where(webhook.c.job_id.in_(job_ids)))
    return {row.job_id: WebhookRow(*row) for row in rows}


def insert_webhook(connection: Connection, job_id: int, url: str, private: bool) -> None:
    """Have the job's end told to this address; private: it may lead into a private network."""
    connection.execute(insert(webhook).values(job_id=job_id, url=url, private=private))


def owe_delivery(connection: Connection, database: Database, job_id: int, event_id: str) -> None:
    """The job ends in this transaction: whoever wants to know of it is to be told, at once."""
    values = {"state": WebhookState.WAITING, "event_id": event_id, "attempts": 0, "error": None}
    owed = update(webhook).where(webhook.c.job_id == job_id)
    connection.execute(owed.values(due_at=database.clock, **values))


def due_deliveries(
    connection: Connection, database: Database, limit: int, given_up_after_s: float
) -> list[Delivery]:
    """What is to be told now, the oldest first; the last try of each is due so long after its job's end."""
    ended = and_(job.c.id == webhook.c.job_id, job.c.state.in_(ENDED))
    over = (database.clock - job.c.ended_at > given_up_after_s).label("last")
    columns = webhook.c["job_id", "url", "private", "event_id", "attempts"]
    statement = select(*columns, over).join(job, ended).where(webhook.c.due_at <= database.clock)
    rows = connection.execute(statement.order_by(webhook.c.due_at).limit(limit)).mappings()
    return [Delivery(**{**row, "last": bool(row["last"])}) for row in rows]


def lease_delivery(
    connection: Connection, database: Database, delivery: Delivery, lease_s: float
) -> Delivery | None:
    """The right to try once; None when somebody else tries, or the job runs again."""
    ended = select(job.c.id).where(job.c.state.in_(ENDED))
    taken = take_lease(
        connection,
        database,
        webhook,
        *_same_end(delivery),
        webhook.c.attempts == delivery.attempts,
        webhook.c.due_at <= database.clock,
        webhook.c.job_id.in_(ended),
        until="due_at",
        lease_s=lease_s,
        returning=[webhook.c.attempts],
    )
    return None if taken is None else replace(delivery, attempts=taken.attempts)


def settle_delivery(connection: Connection, delivery: Delivery, **values: Any) -> None:
    """Set what came of a try; nothing, if the job has ended anew or another tries by now."""
    with suppress(LeaseLost):
        change_leased(connection, webhook, delivery.attempts, *_same_end(delivery), **values)


def _same_end(delivery: Delivery) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return webhook.c.job_id == delivery.job_id, webhook.c.event_id == delivery.event_id
