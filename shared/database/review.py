"""Which clips of a job are most worth a label, and what people said of those that were drawn at random.

Only clips with an answer count, classified or rejected, of each group of copies the original. The sample is
drawn once a job and kept, so that its labels estimate the job's accuracy whatever else is labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, exists, func, select

from shared.core.states import Outcome, ReviewReason
from shared.database.sessions import Database
from shared.database.tables import clip, label, prediction, review_sample, segment, upload

# Disagreement is looked for in so many clips: none at all in 1,000,000 would take seconds to find out.
LOOKED_AT = 20_000
SAMPLE_CLIPS = 300  # 0.8 of them right: 0.75 to 0.84 with 95 % confidence


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A clip that is worth a label, why, and its answer under the version that was asked about."""

    clip_id: int
    path: str
    upload: str
    outcome: Outcome
    confidence: float
    threshold: float
    probabilities: dict[str, float]
    reason: ReviewReason

    @property
    def best_guess(self) -> str:
        """The likeliest emotion, also of what is rejected."""
        return _likeliest(self.probabilities)


@dataclass(frozen=True, slots=True)
class ReviewedClip:
    """A clip of the sample and what a labeller says of it, beside its answer."""

    job_id: int
    clip_id: int
    outcome: Outcome
    probabilities: dict[str, float]
    emotion: str

    @property
    def best_guess(self) -> str:
        """The likeliest emotion, also of what is rejected."""
        return _likeliest(self.probabilities)


def has_sample(connection: Connection, job_id: int) -> bool:
    """Whether a job's sample is drawn."""
    return bool(connection.execute(select(exists().where(review_sample.c.job_id == job_id))).scalar_one())


def drawn_clips(connection: Connection, job_id: int, model_version: str) -> list[int]:
    """A new sample of the clips that have an answer under this version; of 1,000,000 it takes a second."""
    answered = _answered(job_id, model_version).order_by(func.random()).limit(SAMPLE_CLIPS)
    return list(connection.execute(answered).scalars())


def insert_sample(connection: Connection, database: Database, job_id: int, clip_ids: Sequence[int]) -> None:
    """Keep a job's sample; of two that are drawn at the same time the first one counts."""
    rows = [
        {"job_id": job_id, "number": number, "clip_id": clip_id} for number, clip_id in enumerate(clip_ids)
    ]
    if rows and not has_sample(connection, job_id):
        connection.execute(database.insert(review_sample).on_conflict_do_nothing(), rows)


def sampled(connection: Connection, job_id: int, model_version: str, most: int) -> list[ReviewRow]:
    """Clips of the sample that nobody has labelled, in the order in which they were drawn."""
    # Without the job of the prediction: SQLite would look through all of them, for 1.6 s of 1,000,000.
    chosen = (
        select(review_sample.c.clip_id)
        .join(prediction, prediction.c.clip_id == review_sample.c.clip_id)
        .where(
            review_sample.c.job_id == job_id,
            prediction.c.model_version == model_version,
            prediction.c.confidence.is_not(None),
            ~_is_labelled(),
        )
        .order_by(review_sample.c.number)
        .limit(most)
    )
    return _rows(connection, chosen, model_version, ReviewReason.RANDOM)


def near_threshold(connection: Connection, job_id: int, model_version: str, most: int) -> list[ReviewRow]:
    """Unlabelled clips whose confidence is next to the threshold, the nearest first."""
    confidence = prediction.c.confidence
    # One number for all clips of a job and version, so that both sides are walks along an index.
    one = _answered(job_id, model_version).with_only_columns(prediction.c.threshold).limit(1)
    threshold = connection.execute(one).scalar_one_or_none()
    found: list[ReviewRow] = []
    if threshold is None:
        return found
    for side, order in ((confidence >= threshold, confidence), (confidence < threshold, confidence.desc())):
        chosen = _answered(job_id, model_version).where(side, ~_is_labelled()).order_by(order).limit(most)
        found += _rows(connection, chosen, model_version, ReviewReason.NEAR_THRESHOLD)
    return sorted(found, key=lambda row: abs(row.confidence - row.threshold))[:most]


def windows_disagree(connection: Connection, job_id: int, model_version: str, most: int) -> list[ReviewRow]:
    """Unlabelled clips in whose windows different emotions were heard, of the first LOOKED_AT classified."""
    first = _first_classified(job_id, model_version)
    heard = (
        select(segment.c.clip_id)
        .where(
            segment.c.clip_id == first.c.clip_id,
            segment.c.model_version == model_version,
            segment.c.outcome == Outcome.CLASSIFIED,
        )
        .group_by(segment.c.clip_id)
        .having(func.count(segment.c.emotion.distinct()) > 1)
    )
    chosen = select(first.c.clip_id).where(exists(heard)).limit(most)
    return _rows(connection, chosen, model_version, ReviewReason.WINDOWS_DISAGREE)


def versions_disagree(connection: Connection, job_id: int, model_version: str, most: int) -> list[ReviewRow]:
    """Unlabelled clips that another version has classified differently, of the first LOOKED_AT classified."""
    first = _first_classified(job_id, model_version)
    differs = exists().where(
        prediction.c.clip_id == first.c.clip_id,
        prediction.c.model_version != model_version,
        prediction.c.outcome == Outcome.CLASSIFIED,
        prediction.c.emotion != first.c.emotion,
    )
    chosen = select(first.c.clip_id).where(differs).limit(most)
    return _rows(connection, chosen, model_version, ReviewReason.VERSIONS_DISAGREE)


def _first_classified(job_id: int, model_version: str) -> Subquery:
    """The first classified clips without a label, in archive order."""
    answered = _answered(job_id, model_version).add_columns(prediction.c.emotion)
    classified = answered.where(prediction.c.outcome == Outcome.CLASSIFIED, ~_is_labelled())
    return classified.order_by(prediction.c.upload_id, prediction.c.member).limit(LOOKED_AT).subquery()


def reviewed(connection: Connection, versions: dict[int, str]) -> list[ReviewedClip]:
    """What people said of the samples of some jobs; a row a labeller.

    Args:
        connection: to read.
        versions: the version whose answers are meant, by job.
    """
    found: list[ReviewedClip] = []
    for version in sorted(set(versions.values())):
        statement = (
            select(
                review_sample.c.job_id, prediction.c.clip_id, prediction.c.outcome,
                prediction.c.probabilities, label.c.emotion,
            )
            .join(prediction, prediction.c.clip_id == review_sample.c.clip_id)
            .join(label, label.c.clip_id == review_sample.c.clip_id)
            .where(
                review_sample.c.job_id.in_([job_id for job_id, own in versions.items() if own == version]),
                prediction.c.model_version == version,
                prediction.c.confidence.is_not(None),
            )
        )  # fmt: skip
        found += [ReviewedClip(*row) for row in connection.execute(statement)]
    return found


def _answered(job_id: int, model_version: str) -> Select[Any]:
    return select(prediction.c.clip_id).where(
        prediction.c.job_id == job_id,
        prediction.c.model_version == model_version,
        prediction.c.confidence.is_not(None),
    )


def _is_labelled() -> ColumnElement[bool]:
    return exists().where(label.c.clip_id == prediction.c.clip_id)


def _rows(
    connection: Connection, chosen: Select[Any], model_version: str, reason: ReviewReason
) -> list[ReviewRow]:
    ids = list(connection.execute(chosen).scalars())
    wanted = (
        select(
            clip.c.id, clip.c.path, upload.c.name, prediction.c.outcome, prediction.c.confidence,
            prediction.c.threshold, prediction.c.probabilities,
        )
        .join(prediction, prediction.c.clip_id == clip.c.id)
        .join(upload, upload.c.id == clip.c.upload_id)
        .where(clip.c.id.in_(ids), prediction.c.model_version == model_version)
    )  # fmt: skip
    by_id = {row[0]: ReviewRow(*row, reason=reason) for row in connection.execute(wanted)}
    return [by_id[clip_id] for clip_id in ids]


def _likeliest(probabilities: dict[str, float]) -> str:
    return max(probabilities, key=probabilities.__getitem__)
