"""API keys in the database, and what each has there. Each function takes a connection.

A key's row is never removed, only revoked: its jobs keep its number.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, or_, select, update

from shared.core import api_keys as keys
from shared.core.api_keys import Scope
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
        "scopes": " ".join(scope for scope in Scope if scope in scopes),
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


class KeyState(StrEnum):
    """Of an API key."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key, of which only the digest is stored. Times are seconds since 1970.

    prefix: how the key begins; last_used_at: to the minute.
    """

    id: int
    prefix: str
    digest: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    revoked_at: float | None
    state: KeyState


def _keys(connection: Connection, database: Database, *chosen: ColumnElement[bool]) -> list[KeyRow]:
    state = case(
        (api_key.c.revoked_at.is_not(None), KeyState.REVOKED),
        (api_key.c.expires_at <= database.clock, KeyState.EXPIRED),
        else_=KeyState.VALID,
    )
    columns = [api_key.c[field.name] for field in fields(KeyRow) if field.name != "state"]
    statement = select(*columns, state.label("state")).where(*chosen).order_by(api_key.c.id)
    rows = connection.execute(statement).mappings()
    return [
        KeyRow(**row | {"state": KeyState(row["state"]), "scopes": tuple(map(Scope, row["scopes"].split()))})
        for row in map(dict, rows)
    ]


def find_key(connection: Connection, database: Database, key: str) -> KeyRow | None:
    """The row of a key, valid or expired; None for one that is unknown or revoked.

    Found by its prefix, told by its digest in constant time: how long it takes says nothing of the rest.
    """
    digest = keys.digest(key)
    for row in _keys(connection, database, api_key.c.prefix == keys.prefix(key)):
        if hmac.compare_digest(row.digest, digest) and row.state != KeyState.REVOKED:
            return row
    return None


def note_use(connection: Connection, database: Database, key_id: int) -> None:
    """Write that a key is in use, unless that was written within the last minute."""
    earlier = api_key.c.last_used_at < database.clock - LAST_USED_EVERY_S
    outdated = api_key.c.id == key_id, or_(api_key.c.last_used_at.is_(None), earlier)
    connection.execute(update(api_key).where(*outdated).values(last_used_at=database.clock))


def listed(connection: Connection, database: Database) -> list[KeyRow]:
    """All keys, revoked ones too, the oldest first."""
    return _keys(connection, database)


def any_valid(connection: Connection, database: Database) -> bool:
    """Whether anybody, but for the page of `voxmood up`, has a key that is valid."""
    rows = listed(connection, database)
    return any(row.state == KeyState.VALID and row.name != PAGE_NAME for row in rows)


def revoke(connection: Connection, database: Database, key_id: int) -> bool:
    """From now on the key is unknown; False where there is none, or it was revoked before."""
    valid = api_key.c.id == key_id, api_key.c.revoked_at.is_(None)
    return connection.execute(update(api_key).where(*valid).values(revoked_at=database.clock)).rowcount == 1


def lock_key(connection: Connection, key_id: int) -> None:
    """Until this transaction ends, no other adds to what the key has.

    Whoever locks a job's row too does that first.
    """
    connection.execute(select(api_key.c.id).where(api_key.c.id == key_id).with_for_update())


def key_of_job(connection: Connection, job_id: int) -> int | None:
    """The key that made a job; None where it was made without one."""
    key_id: int | None = connection.execute(
        select(job.c.key_id).where(job.c.id == job_id)
    ).scalar_one_or_none()
    return key_id


def unfinished_jobs(connection: Connection, key_id: int) -> int:
    """How many open or running jobs a key has."""
    unfinished = job.c.key_id == key_id, job.c.state.in_(UNFINISHED)
    return int(connection.execute(select(func.count()).select_from(job).where(*unfinished)).scalar_one())


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
