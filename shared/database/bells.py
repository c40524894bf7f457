"""What is said of uploads and units that are rung for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, select

from shared.core.states import LEFT
from shared.database.tables import job, shard, unit, upload


@dataclass(frozen=True, slots=True)
class UploadBell:
    """What is said of an upload that is rung for."""

    id: int
    job_id: int
    small: bool
    name: str


@dataclass(frozen=True, slots=True)
class UnitBell:
    """What is said of a unit that is rung for: its shard is the `place`-th of `total`, if that is known."""

    id: int
    job_id: int
    small: bool
    place: int
    total: int
    total_is_known: bool


def upload_bells(connection: Connection, ids: Sequence[int]) -> list[UploadBell]:
    """What is said of these uploads, in the order of their ids."""
    statement = (
        select(upload.c.id, upload.c.job_id, job.c.small, upload.c.name)
        .join(job, job.c.id == upload.c.job_id)
        .where(upload.c.id.in_(ids))
        .order_by(upload.c.id)
    )
    return [UploadBell(*row) for row in connection.execute(statement)]


def unit_bells(connection: Connection, ids: Sequence[int]) -> list[UnitBell]:
    """What is said of these units, in the order of their ids."""
    # How many shards a job has is known once none of its uploads waits any more.
    unpacked = ~exists().where(upload.c.job_id == job.c.id, upload.c.state.in_(LEFT))
    of = shard.alias("of")
    total = select(func.count()).where(of.c.job_id == unit.c.job_id).scalar_subquery()
    place = select(func.count()).where(of.c.job_id == unit.c.job_id, of.c.id <= shard.c.id).scalar_subquery()
    statement = (
        select(unit.c.id, unit.c.job_id, job.c.small, place, total, unpacked)
        .join(job, job.c.id == unit.c.job_id)
        .join(shard, shard.c.id == unit.c.shard_id)
        .where(unit.c.id.in_(ids))
        .order_by(unit.c.id)
    )
    return [UnitBell(*row) for row in connection.execute(statement)]
