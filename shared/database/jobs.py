"""Rows of jobs: made, found, locked, moved from state to state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Exists, Table, exists, or_, select, true, update

from shared.audio.windows import Windows
from shared.core.states import ENDED, EXPECTED_UPLOADS, LEFT, JobState
from shared.database.sessions import Database
from shared.database.tables import clip, job, unit, upload


@dataclass(frozen=True, slots=True)
class JobRow:
    """A row of `job`. Times are seconds since 1970 by the database's clock."""

    id: int
    key: str
    name: str | None
    state: JobState
    model_version: str
    threshold: float | None
    windows: Literal["clip", "sliding"]
    win_s: float | None
    hop_s: float | None
    channels: Literal["mix", "separate"]
    small: bool
    encoding: str | None
    key_id: int | None
    idempotency_key: str | None
    idempotency_digest: str | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    run_started_at: float | None
    run_done: int

    @property
    def windowing(self) -> Windows:
        """How its recordings are cut into windows."""
        return Windows(self.windows, self.win_s, self.hop_s, self.channels)


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a job is created with; the columns of the same names."""

    key: str
    name: str | None
    model_version: str
    threshold: float | None
    windows: Windows
    encoding: str | None
    key_id: int | None
    idempotency_key: str | None
    idempotency_digest: str | None


def of_key(key_id: int | None) -> ColumnElement[bool]:
    """Only the jobs that this API key made; None: all jobs."""
    return true() if key_id is None else job.c.key_id == key_id


def jobs_page(
    connection: Connection, before: int | None, limit: int, key_id: int | None = None
) -> list[JobRow]:
    """Jobs (`of_key`), the newest first; `before` is the last id of the page before."""
    statement = select(job).where(of_key(key_id)).order_by(job.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(job.c.id < before)
    return [JobRow(**row) for row in connection.execute(statement).mappings()]


def job_row(connection: Connection, job_id: int, key_id: int | None = None) -> JobRow | None:
    """One job, or None; also where it is not `of_key`."""
    statement = select(job).where(job.c.id == job_id, of_key(key_id))
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else JobRow(**row)


def insert_job(connection: Connection, database: Database, new: NewJob) -> int | None:
    """A new open job's id; None where a job of the same idempotency key and API key is there already."""
    values = {
        "key": new.key,
        "name": new.name,
        "state": JobState.OPEN,
        "model_version": new.model_version,
        "threshold": new.threshold,
        "windows": new.windows.kind,
        "win_s": new.windows.win_s,
        "hop_s": new.windows.hop_s,
        "channels": new.windows.channels,
        "encoding": new.encoding,
        "key_id": new.key_id,
        "idempotency_key": new.idempotency_key,
        "idempotency_digest": new.idempotency_digest,
        "created_at": database.clock,
    }
    made = database.insert(job).values(values).on_conflict_do_nothing().returning(job.c.id)
    job_id: int | None = connection.execute(made).scalar_one_or_none()
    return job_id


def job_of_request(connection: Connection, idempotency_key: str | None, key_id: int | None) -> JobRow:
    """The job that an earlier request with this idempotency key and API key made."""
    same = job.c.idempotency_key == idempotency_key, job.c.key_id.is_not_distinct_from(key_id)
    return JobRow(**connection.execute(select(job).where(*same)).mappings().one())


def lock_job(connection: Connection, job_id: int) -> JobState | None:
    """Lock a job's row until the transaction ends and return its state; None when there is no such job.

    Whoever changes a job's state or adds work to it does this first. On SQLite the transaction itself, which
    is `BEGIN IMMEDIATE`, locks the whole database.
    """
    statement = select(job.c.state).where(job.c.id == job_id).with_for_update()
    state: JobState | None = connection.execute(statement).scalar_one_or_none()
    return state


def lock_running_job(connection: Connection, job_id: int) -> bool:
    """Whether the job runs; if so its row is locked for share.

    So a cancel or a delete that comes now waits, and one that came before is seen.
    """
    running = select(job.c.id).where(job.c.id == job_id, job.c.state == JobState.RUNNING)
    return connection.execute(running.with_for_update(read=True)).one_or_none() is not None


def start_job(connection: Connection, database: Database, job_id: int, *, small: bool) -> None:
    """An open job runs; small: its work takes the queues of small jobs."""
    values = {"state": JobState.RUNNING, "started_at": database.clock, "small": small}
    connection.execute(update(job).where(job.c.id == job_id).values(values))


def end_job(connection: Connection, database: Database, job_id: int, state: JobState) -> None:
    """A job has ended, with this state."""
    values = {"state": state, "ended_at": database.clock}
    connection.execute(update(job).where(job.c.id == job_id).values(values))


def run_job_again(connection: Connection, database: Database, job_id: int, outcomes: int) -> None:
    """An ended job runs again; outcomes: those that stand already, which are not of the run that begins."""
    values = {
        "state": JobState.RUNNING,
        "ended_at": None,
        "run_started_at": database.clock,
        "run_done": outcomes,
    }
    connection.execute(update(job).where(job.c.id == job_id).values(values))


def mark_job_deleted(connection: Connection, job_id: int) -> None:
    """The job is to be removed: from now on nothing is leased or committed for it."""
    connection.execute(update(job).where(job.c.id == job_id).values(state=JobState.DELETING))


def mark_outdated_jobs(connection: Connection, database: Database, older_than_s: float) -> int:
    """Jobs that ended so long ago are to be removed; how many those are."""
    outdated = job.c.state.in_(ENDED), job.c.ended_at < database.clock - older_than_s
    return connection.execute(update(job).where(*outdated).values(state=JobState.DELETING)).rowcount


def deleted_jobs(connection: Connection) -> list[JobRow]:
    """Jobs that are to be removed."""
    statement = select(job).where(job.c.state == JobState.DELETING)
    return [JobRow(**row) for row in connection.execute(statement).mappings()]


def runs(table: Table) -> Exists:
    """A condition on a table with `job_id`: its row's job runs."""
    return exists().where(job.c.id == table.c.job_id, job.c.state == JobState.RUNNING)


def has_work_left(job_id: Any) -> ColumnElement[bool]:
    """A condition: the job still has an upload to come or to unpack, or a unit to classify.

    Args:
        job_id: the job's id, or the column that has it.
    """
    waiting_upload = exists().where(upload.c.job_id == job_id, upload.c.state.in_(EXPECTED_UPLOADS))
    waiting_unit = exists().where(unit.c.job_id == job_id, unit.c.state.in_(LEFT))
    return or_(waiting_upload, waiting_unit)


def is_worked_on(connection: Connection, job_id: int) -> bool:
    """Whether a job has work left."""
    return bool(connection.execute(select(has_work_left(job_id))).scalar_one())


def jobs_without_work(connection: Connection, limit: int) -> Sequence[int]:
    """Running jobs that have nothing left to do."""
    statement = select(job.c.id).where(job.c.state == JobState.RUNNING, ~has_work_left(job.c.id))
    return connection.execute(statement.limit(limit)).scalars().all()


def has_clips(connection: Connection, job_id: int) -> bool:
    """Whether a single clip was found in the job's uploads."""
    return bool(connection.execute(select(exists().where(clip.c.job_id == job_id))).scalar_one())
