"""API keys in the database, and what each may have there. Each function takes a connection.

A key's row is never removed, only revoked: its jobs keep its number.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, func, insert, or_, select, update

from shared.core import api_keys as keys
from shared.core.api_keys import SCOPES
from shared.core.errors.access import KeyExpired, TooManyBytes, TooManyJobs, UnknownKey
from shared.core.states import UNFINISHED, UploadState
from shared.database.sessions import Database
from shared.database.tables import api_key, job, shard, upload

LAST_USED_EVERY_S = 60.0
PAGE_NAME = "the page of voxmood up"


def add(
    connection: Connection,
    database: Database,
    key: str,
    name: str,
    scopes: Collection[str],
    expires_s: float | None = None,
) -> int:
    """Store a key's digest; its number. `expires_s`: seconds from now; None: it never expires."""
    values: dict[str, Any] = {
        "prefix": keys.prefix(key),
        "digest": keys.digest(key),
        "name": name,
        "scopes": " ".join(scope for scope in SCOPES if scope in scopes),
        "created_at": database.clock,
        "expires_at": None if expires_s is None else database.clock + expires_s,
    }
    made = connection.execute(insert(api_key).values(values).returning(api_key.c.id))
    return int(made.scalar_one())


def ensure(connection: Connection, database: Database, key: str, name: str, scopes: Collection[str]) -> None:
    """Store a key that is not stored yet. One that was revoked stays so."""
    stands = select(api_key.c.id).where(api_key.c.digest == keys.digest(key))
    if connection.execute(stands).scalar_one_or_none() is None:
        add(connection, database, key, name, scopes)


def valid(connection: Connection, database: Database, key: str) -> RowMapping:
    """The row of a key that may be used now; UnknownKey (revoked too), or KeyExpired.

    Found by its prefix, told by its digest in constant time: how long it takes says nothing of the rest.
    """
    expired = (api_key.c.expires_at <= database.clock).label("expired")
    alike = select(api_key, expired).where(api_key.c.prefix == keys.prefix(key))
    digest = keys.digest(key)
    for row in connection.execute(alike).mappings():
        if hmac.compare_digest(row["digest"], digest) and row["revoked_at"] is None:
            if row["expired"]:
                raise KeyExpired(prefix=row["prefix"])
            return row
    raise UnknownKey


def note_use(connection: Connection, database: Database, key_id: int) -> None:
    """Write that a key is in use, unless that was written within the last minute."""
    earlier = api_key.c.last_used_at < database.clock - LAST_USED_EVERY_S
    outdated = api_key.c.id == key_id, or_(api_key.c.last_used_at.is_(None), earlier)
    connection.execute(update(api_key).where(*outdated).values(last_used_at=database.clock))


def listed(connection: Connection, database: Database) -> Sequence[RowMapping]:
    """All keys, revoked ones too, the oldest first, each with its `state`: valid, expired or revoked."""
    state = case(
        (api_key.c.revoked_at.is_not(None), "revoked"),
        (api_key.c.expires_at <= database.clock, "expired"),
        else_="valid",
    )
    rows = connection.execute(select(api_key, state.label("state")).order_by(api_key.c.id))
    return rows.mappings().all()


def any_valid(connection: Connection, database: Database) -> bool:
    """Whether anybody, but for the page of `voxmood up`, has a key that is valid."""
    rows = listed(connection, database)
    return any(row["state"] == "valid" and row["name"] != PAGE_NAME for row in rows)


def revoke(connection: Connection, database: Database, key_id: int) -> bool:
    """From now on the key is unknown; False where there is none, or it was revoked before."""
    valid = api_key.c.id == key_id, api_key.c.revoked_at.is_(None)
    return connection.execute(update(api_key).where(*valid).values(revoked_at=database.clock)).rowcount == 1


# --- what one key may have ---------------------------------------------------------------------------
def lock(connection: Connection, key_id: int) -> None:
    """Until this transaction ends, no other adds to what the key has.

    Whoever locks a job's row too does that first.
    """
    connection.execute(select(api_key.c.id).where(api_key.c.id == key_id).with_for_update())


def check_jobs(connection: Connection, key_id: int | None, most: int, more: int = 0) -> None:
    """TooManyJobs if the key, already locked, has over `most` open or running jobs, or would with `more`."""
    if key_id is None:
        return
    unfinished = job.c.key_id == key_id, job.c.state.in_(UNFINISHED)
    count = connection.execute(select(func.count()).select_from(job).where(*unfinished)).scalar_one()
    if count + more > most:
        raise TooManyJobs(count=min(count, most))


def check_bytes(connection: Connection, job_id: int, most: int, *, keeps_uploads: bool) -> None:
    """TooManyBytes if the key that made this job has over `most` bytes stored; locks the key."""
    key_id = connection.execute(select(job.c.key_id).where(job.c.id == job_id)).scalar_one_or_none()
    if key_id is not None:
        lock(connection, key_id)
        if stored_bytes(connection, key_id, keeps_uploads=keeps_uploads) > most:
            raise TooManyBytes(limit_bytes=most)


def stored_bytes(connection: Connection, key_id: int, *, keeps_uploads: bool) -> int:
    """Bytes of a key's jobs in the store: uploads (those on their way as announced) and shards.

    An upload that is unpacked is removed, unless the server keeps them; one in another's bucket is not ours.
    """
    jobs = select(job.c.id).where(job.c.key_id == key_id)
    announced = and_(upload.c.state == UploadState.RECEIVING, upload.c.expected_bytes > upload.c.bytes)
    size = case((announced, upload.c.expected_bytes), else_=upload.c.bytes)
    there: list[ColumnElement[bool]] = [upload.c.job_id.in_(jobs), upload.c.bucket.is_(None)]
    if not keeps_uploads:
        there.append(upload.c.state != UploadState.DONE)
    sums = (
        select(func.coalesce(func.sum(size), 0)).where(*there),
        select(func.coalesce(func.sum(shard.c.bytes), 0)).where(shard.c.job_id.in_(jobs)),
    )
    return sum(int(connection.execute(one).scalar_one()) for one in sums)
