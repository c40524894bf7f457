"""The questions that one asks of a job, as named queries. Each takes a connection and returns rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, case, func, literal, or_, select, tuple_

from shared.database.sessions import Database
from shared.database.tables import OUTCOMES, clip, job, prediction, unit, upload

# The contract's columns, in its order; `p_<emotion>` for each label follow.
RESULT_COLUMNS = (
    "path", "outcome", "emotion", "confidence", "threshold", "model_version", "duration_s",
    "error_code", "error", "upload", "clip_id",
)  # fmt: skip
Cursor = tuple[int, int]


def jobs_page(connection: Connection, before: int | None, limit: int) -> Sequence[RowMapping]:
    """Jobs, the newest first; `before` is the last id of the page before."""
    statement = select(job).order_by(job.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(job.c.id < before)
    return connection.execute(statement).mappings().all()


def job_row(connection: Connection, job_id: int) -> RowMapping | None:
    """One job, or None."""
    return connection.execute(select(job).where(job.c.id == job_id)).mappings().one_or_none()


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


def now(connection: Connection, database: Database) -> float:
    """The database's clock."""
    return float(connection.execute(select(database.clock)).scalar_one())


def _results(job_id: int, model_version: str) -> Select[Any]:
    """Rows of a job's clips that have an outcome under a version, in archive order."""
    original = func.coalesce(clip.c.duplicate_of, clip.c.id)
    ended = and_(prediction.c.clip_id == original, prediction.c.model_version == model_version)
    ended_by_unpack = clip.c.error_code.is_not(None)
    return (
        select(
            clip.c.path,
            case((ended_by_unpack, "failed"), else_=prediction.c.outcome).label("outcome"),
            prediction.c.emotion,
            prediction.c.confidence,
            prediction.c.threshold,
            literal(model_version).label("model_version"),
            prediction.c.duration_s,
            func.coalesce(clip.c.error_code, prediction.c.error_code).label("error_code"),
            func.coalesce(clip.c.error, func.replace(prediction.c.error, "{path}", clip.c.path)).label(
                "error"
            ),
            upload.c.name.label("upload"),
            clip.c.id.label("clip_id"),
            prediction.c.probabilities,
            clip.c.upload_id,
            clip.c.member,
        )
        .select_from(clip)
        .join(upload, upload.c.id == clip.c.upload_id)
        .outerjoin(prediction, ended)
        .where(clip.c.job_id == job_id, or_(ended_by_unpack, prediction.c.clip_id.is_not(None)))
        .order_by(clip.c.upload_id, clip.c.member)
    )


def results_page(
    connection: Connection, job_id: int, model_version: str, after: Cursor | None, limit: int
) -> Sequence[RowMapping]:
    """Up to `limit` result rows behind the cursor (upload id, member)."""
    statement = _results(job_id, model_version).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(clip.c.upload_id, clip.c.member) > tuple_(*after))
    return connection.execute(statement).mappings().all()


def all_results(
    database: Database, job_id: int, model_version: str, page: int = 1000
) -> Iterator[Sequence[RowMapping]]:
    """All result rows, a page at a time, each in a transaction of its own: memory stays constant."""
    after: Cursor | None = None
    while True:
        with database.read() as connection:
            rows = results_page(connection, job_id, model_version, after, page)
        if not rows:
            return
        yield rows
        after = cursor_of(rows[-1])


def cursor_of(row: RowMapping) -> Cursor:
    """The cursor that continues behind a row."""
    return row["upload_id"], row["member"]
