"""Rows of predictions and segments: what a unit's clips are found to be, and how many of each outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import islice, pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, select, update

from shared.audio.windows import Windows
from shared.core.states import Outcome
from shared.database.jobs import of_key
from shared.database.sessions import Database
from shared.database.tables import clip, clip_try, job, prediction, segment, shard, unit

INSERTED_SEGMENTS = 1000  # a statement; a recording of 20 hours has 50,000


@dataclass(frozen=True, slots=True)
class UnitToClassify:
    """A unit, its shard and what its job says: what a classifier needs to know.

    shard_bytes: of the whole shard; threshold: the job's own, None: the version's; small: its job has the
    queues of small jobs.
    """

    model_version: str
    shard_id: int
    object_key: str
    shard_bytes: int
    threshold: float | None
    windows: Windows
    small: bool


@dataclass(frozen=True, slots=True)
class NewPrediction:
    """A row of `prediction` as a unit writes it; the unit's lease and version complete it."""

    clip_id: int
    upload_id: int
    member: int
    outcome: Outcome
    emotion: str | None
    confidence: float | None
    threshold: float | None
    duration_s: float | None
    error_code: str | None
    error: str | None
    probabilities: dict[str, float] | None
    quality: str | None
    bandwidth_hz: float | None
    snr_db: float | None
    voiced_s: float | None


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A row of `segment` as a unit writes it. channel: from 1; 0: all of them, mixed. Times in seconds."""

    clip_id: int
    number: int
    channel: int
    start_s: float
    end_s: float
    outcome: Outcome
    emotion: str | None
    confidence: float | None
    probabilities: dict[str, float] | None


def _columns(row: NewPrediction | NewSegment) -> dict[str, Any]:
    # dataclasses.asdict would copy each value too, 50,000 dicts of probabilities for a long recording.
    return {field.name: getattr(row, field.name) for field in fields(row)}


def of_clip(model_version: ColumnElement[str] | str) -> ColumnElement[bool]:
    """A condition that joins each clip with its prediction: its own, or that of the clip whose bytes it has.

    Args:
        model_version: the version, or the column that names it.
    """
    original = func.coalesce(clip.c.duplicate_of, clip.c.id)
    return and_(prediction.c.clip_id == original, prediction.c.model_version == model_version)


def of_original(model_version: ColumnElement[str] | str) -> ColumnElement[bool]:
    """A condition that joins each duplicate with the prediction of the clip whose bytes it has.

    Args:
        model_version: the version, or the column that names it.
    """
    return and_(prediction.c.clip_id == clip.c.duplicate_of, prediction.c.model_version == model_version)


def unit_to_classify(connection: Connection, unit_id: int) -> UnitToClassify:
    """A unit that is there."""
    statement = (
        select(unit.c.model_version, unit.c.shard_id, shard.c.object_key, shard.c.bytes,
               job.c.threshold, job.c.windows, job.c.win_s, job.c.hop_s, job.c.channels, job.c.small)
        .join(shard, shard.c.id == unit.c.shard_id)
        .join(job, job.c.id == unit.c.job_id)
        .where(unit.c.id == unit_id)
    )  # fmt: skip
    row = connection.execute(statement).one()
    windows = Windows(row.windows, row.win_s, row.hop_s, row.channels)
    return UnitToClassify(
        row.model_version, row.shard_id, row.object_key, row.bytes, row.threshold, windows, row.small
    )


def insert_predictions(
    connection: Connection,
    database: Database,
    unit_id: int,
    job_id: int,
    model_version: str,
    rows: Sequence[NewPrediction],
) -> None:
    """Predictions of a unit's clips; one that is there already stays as it is."""
    if rows:
        common = {"unit_id": unit_id, "job_id": job_id, "model_version": model_version}
        statement = database.insert(prediction).on_conflict_do_nothing()
        connection.execute(statement, [common | _columns(row) for row in rows])


def insert_segments(
    connection: Connection, database: Database, model_version: str, rows: Iterable[NewSegment]
) -> None:
    """Segments of clips, some at a time, as they are made; one that is there already stays as it is."""
    statement = database.insert(segment).on_conflict_do_nothing()
    made = ({"model_version": model_version} | _columns(row) for row in rows)
    while some := list(islice(made, INSERTED_SEGMENTS)):
        connection.execute(statement, some)


def count_outcomes(connection: Connection, unit_id: int) -> Counter[str]:
    """Write on the unit's row what stands of it: whoever asks how far a job is reads only that."""
    statement = select(prediction.c.outcome, func.count()).group_by(prediction.c.outcome)
    rows = connection.execute(statement.where(prediction.c.unit_id == unit_id)).all()
    counts: Counter[str] = Counter(dict(rows))
    values = {outcome: counts[outcome] for outcome in Outcome}
    connection.execute(update(unit).where(unit.c.id == unit_id).values(values))
    return counts


def confidence_counts(
    connection: Connection,
    database: Database,
    model_version: str,
    seconds: float,
    bounds: Sequence[float],
    key_id: int | None = None,
) -> list[int]:
    """How many answers of a version have a confidence within each range.

    Args:
        connection: to read.
        database: its clock says what is recent.
        model_version: whose answers.
        seconds: jobs that were started within so many seconds count.
        bounds: rising; each range has its lower bound, the last one its upper too.
        key_id: of jobs `of_key`.
    """
    recent = select(job.c.id).where(job.c.started_at >= database.clock - seconds, of_key(key_id))
    confidence = prediction.c.confidence
    # A range's clips are those from its lower bound on, less those from the next one on.
    from_each = [func.count(case((confidence >= bound, 1))) for bound in bounds[:-1]]
    statement = select(*from_each).where(
        prediction.c.job_id.in_(recent), prediction.c.model_version == model_version, confidence.is_not(None)
    )
    above = [*connection.execute(statement).one(), 0]
    return [one - following for one, following in pairwise(above)]


def count_try(connection: Connection, database: Database, unit_id: int, clip_id: int) -> int:
    """Note that a clip of a unit that crashed is tried now; how often that was noted."""
    values = {"unit_id": unit_id, "clip_id": clip_id, "tries": 1}
    counted = (
        database.insert(clip_try)
        .values(values)
        .on_conflict_do_update(index_elements=["unit_id", "clip_id"], set_={"tries": clip_try.c.tries + 1})
        .returning(clip_try.c.tries)
    )
    return int(connection.execute(counted).scalar_one())


def take_try_back(connection: Connection, unit_id: int, clip_id: int) -> None:
    """The clip had no part in what ended its try."""
    tried = clip_try.c.unit_id == unit_id, clip_try.c.clip_id == clip_id
    connection.execute(update(clip_try).where(*tried).values(tries=clip_try.c.tries - 1))


def delete_failed_predictions(connection: Connection, job_id: int) -> None:
    """Remove what failed under any version, and the tries that were counted, so that it runs again."""
    units = select(unit.c.id).where(unit.c.job_id == job_id)
    connection.execute(delete(clip_try).where(clip_try.c.unit_id.in_(units)))
    failed = prediction.c.unit_id.in_(units), prediction.c.outcome == Outcome.FAILED
    connection.execute(delete(prediction).where(*failed))
