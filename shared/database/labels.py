"""What people said of clips: stored, and read as votes for a training. Each takes a connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select

from shared.core.states import JobState
from shared.database.jobs import of_key
from shared.database.sessions import Database
from shared.database.tables import clip, job, label, model, retraining, shard, upload


@dataclass(frozen=True, slots=True)
class LabelSelection:
    """Which labels are meant: those that agree with all that is not None, in jobs `of_key`."""

    job_id: int | None = None
    clip_id: int | None = None
    path: str | None = None
    labeller: str | None = None
    key_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Over a label joined with its clip and its job."""
        asked = (
            (clip.c.job_id, self.job_id),
            (label.c.clip_id, self.clip_id),
            (clip.c.path, self.path),
            (label.c.labeller, self.labeller),
        )
        return [
            job.c.state != JobState.DELETING,
            of_key(self.key_id),
            *(column == value for column, value in asked if value is not None),
        ]


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label and what it is of. created_at: seconds since 1970 by the database's clock."""

    id: int
    clip_id: int
    emotion: str
    speaker: str | None
    labeller: str
    created_at: float
    job_id: int
    path: str
    upload: str


@dataclass(frozen=True, slots=True)
class Vote:
    """What a labeller says of a recording, and where its bytes lie: of a duplicate, the original's."""

    emotion: str
    speaker: str | None
    labeller: str
    clip_id: int
    sha256: str
    path: str
    offset: int
    size: int
    object_key: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a labeller says of a clip."""

    clip_id: int
    labeller: str
    emotion: str


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label to be stored."""

    clip_id: int
    emotion: str
    speaker: str | None
    labeller: str


def labels_page(
    connection: Connection, selection: LabelSelection, after: int | None, limit: int
) -> list[LabelRow]:
    """Labels as they were first given, and of what; `after`: the last id of the page before."""
    statement = (
        select(label, clip.c.job_id, clip.c.path, upload.c.name.label("upload"))
        .join(clip, clip.c.id == label.c.clip_id)
        .join(job, job.c.id == clip.c.job_id)
        .join(upload, upload.c.id == clip.c.upload_id)
        .where(*selection.conditions(), label.c.id > (after or 0))
        .order_by(label.c.id)
        .limit(limit)
    )
    return [LabelRow(**row) for row in connection.execute(statement).mappings()]


def opinions(connection: Connection, selection: LabelSelection) -> list[Opinion]:
    """The labels of all clips that more than one labeller has labelled."""
    other = label.alias("other")
    disputable = exists().where(other.c.clip_id == label.c.clip_id, other.c.labeller != label.c.labeller)
    statement = (
        select(label.c.clip_id, label.c.labeller, label.c.emotion)
        .join(clip, clip.c.id == label.c.clip_id)
        .join(job, job.c.id == clip.c.job_id)
        .where(*selection.conditions(), disputable)
    )
    return [Opinion(*row) for row in connection.execute(statement)]


def delete_labels(connection: Connection, selection: LabelSelection) -> int:
    """Remove labels; returns how many there were."""
    ids = (
        select(label.c.id)
        .join(clip, clip.c.id == label.c.clip_id)
        .join(job, job.c.id == clip.c.job_id)
        .where(*selection.conditions())
    )
    return connection.execute(delete(label).where(label.c.id.in_(ids))).rowcount


def labelled_clips(
    connection: Connection, clip_ids: Sequence[int], key_id: int | None = None
) -> dict[int, bool]:
    """Which of these clips there are in jobs `of_key`, and whether each has a recording to be read back.

    Their jobs' rows are locked for share: a deletion that comes now waits, so that no label is added
    behind the one that removes them.
    """
    of_jobs = select(clip.c.job_id).where(clip.c.id.in_(clip_ids)).distinct()
    alive = select(job.c.id).where(job.c.id.in_(of_jobs), job.c.state != JobState.DELETING, of_key(key_id))
    jobs = list(connection.execute(alive.with_for_update(read=True)).scalars())
    wanted = select(clip.c.id, clip.c.shard_id, clip.c.duplicate_of)
    rows = connection.execute(wanted.where(clip.c.id.in_(clip_ids), clip.c.job_id.in_(jobs)))
    return {row.id: row.shard_id is not None or row.duplicate_of is not None for row in rows}


def store_labels(connection: Connection, database: Database, labels: Sequence[NewLabel]) -> None:
    """Keep labels; a later one of a labeller for a clip replaces the first."""
    # After the retraining that has read the others, so that it counts for the next one.
    taken_at = select(retraining.c.taken_at).scalar_subquery()
    statement = database.insert(label).values(created_at=database.clock_after(taken_at))
    replaced = {name: statement.excluded[name] for name in ("emotion", "speaker", "created_at")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["clip_id", "labeller"], set_=replaced),
        [asdict(one) for one in labels],
    )


def votes(connection: Connection, most: int) -> list[Vote]:
    """The newest `most` labels, the oldest of them first."""
    original = clip.alias("original")
    statement = (
        select(
            label.c.emotion, label.c.speaker, label.c.labeller, original.c.id.label("clip_id"),
            original.c.sha256, original.c.path, original.c.offset, original.c.size, shard.c.object_key,
        )
        .join(clip, clip.c.id == label.c.clip_id)
        .join(original, original.c.id == func.coalesce(clip.c.duplicate_of, clip.c.id))
        .join(shard, shard.c.id == original.c.shard_id)
        .join(job, job.c.id == clip.c.job_id)
        .where(job.c.state != JobState.DELETING)
        .order_by(label.c.created_at.desc(), label.c.id.desc())
        .limit(most)
    )  # fmt: skip
    newest_first = [Vote(*row) for row in connection.execute(statement)]
    return newest_first[::-1]


def newly_labelled(connection: Connection) -> int:
    """Clips labelled, or labelled anew, since the labels of the last trained version were read."""
    retrained = model.c.manifest["base"].as_string().is_not(None)  # others have not read these labels
    last = select(func.coalesce(func.max(model.c.created_at), 0)).where(retrained).scalar_subquery()
    counted = select(func.count(label.c.clip_id.distinct())).where(label.c.created_at > last)
    return int(connection.execute(counted).scalar_one())
