"""The questions that one asks of a job, as named queries. Each takes a connection and returns rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select, true

from shared.audio.windows import Windows
from shared.database.sessions import Database
from shared.database.tables import OUTCOMES, job, unit, upload, webhook


def of_key(key_id: int | None) -> ColumnElement[bool]:
    """Only the jobs that this API key made; None: all jobs."""
    return true() if key_id is None else job.c.key_id == key_id


def jobs_page(
    connection: Connection, before: int | None, limit: int, key_id: int | None = None
) -> Sequence[RowMapping]:
    """Jobs (`of_key`), the newest first; `before` is the last id of the page before."""
    statement = select(job).where(of_key(key_id)).order_by(job.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(job.c.id < before)
    return connection.execute(statement).mappings().all()


def job_row(connection: Connection, job_id: int, key_id: int | None = None) -> RowMapping | None:
    """One job, or None; also where it is not `of_key`."""
    wanted = select(job).where(job.c.id == job_id, of_key(key_id))
    return connection.execute(wanted).mappings().one_or_none()


def windows_of(row: RowMapping) -> Windows:
    """What a job's row says of windows."""
    return Windows(row["windows"], row["win_s"], row["hop_s"], row["channels"])


def uploads_of(connection: Connection, job_ids: Sequence[int]) -> Sequence[RowMapping]:
    """The uploads of these jobs, in the order in which they came."""
    statement = select(upload).where(upload.c.job_id.in_(job_ids)).order_by(upload.c.id)
    return connection.execute(statement).mappings().all()


def outcome_counts(connection: Connection, job_ids: Sequence[int]) -> dict[int, Mapping[str, int]]:
    """For each job the clips that its units have ended, by outcome, under the job's own version."""
    sums = [func.coalesce(func.sum(unit.c[outcome]), 0).label(outcome) for outcome in OUTCOMES]
    statement = (
        select(unit.c.job_id, *sums)
        .join(job, and_(job.c.id == unit.c.job_id, job.c.model_version == unit.c.model_version))
        .where(unit.c.job_id.in_(job_ids))
        .group_by(unit.c.job_id)
    )
    rows = connection.execute(statement).mappings()
    return {row["job_id"]: {outcome: int(row[outcome]) for outcome in OUTCOMES} for row in rows}


def webhooks_of(connection: Connection, job_ids: Sequence[int]) -> dict[int, RowMapping]:
    """The webhooks of these jobs that have one, by job."""
    rows = connection.execute(select(webhook).where(webhook.c.job_id.in_(job_ids))).mappings()
    return {row["job_id"]: row for row in rows}


def now(connection: Connection, database: Database) -> float:
    """The database's clock."""
    return float(connection.execute(select(database.clock)).scalar_one())
