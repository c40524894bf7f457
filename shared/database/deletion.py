"""What deletion removes of a job, in batches, and what is remembered of it until its objects are gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

from shared.core.states import UploadState
from shared.database.sessions import Database
from shared.database.tables import (
    clip,
    clip_try,
    job,
    label,
    prediction,
    review_sample,
    segment,
    shard,
    tombstone,
    unit,
    upload,
    upload_part,
    webhook,
)

# Rows removed in one transaction: others wait for SQLite's one writer meanwhile (about 30 ms).
ERASE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted job's prefix in the store, which something may still come into."""

    id: int
    prefix: str


def erase_rows(database: Database, job_id: int) -> None:
    """Remove all rows of a job but its own, in batches. Killed in between, the next call goes on."""
    for table, chosen in _rows_of(job_id):
        key = table.primary_key.columns
        some = select(*key).where(chosen).limit(ERASE_ROWS)
        removed = 1
        while removed:
            with database.write() as connection:
                removed = connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount


def _rows_of(job_id: int) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """The tables in the order in which nothing is left pointing to a row that is gone."""
    of_job = clip.c.job_id == job_id
    clips = select(clip.c.id).where(of_job)
    units = select(unit.c.id).where(unit.c.job_id == job_id)
    uploads = select(upload.c.id).where(upload.c.job_id == job_id)
    yield review_sample, review_sample.c.job_id == job_id
    yield label, label.c.clip_id.in_(clips)
    yield segment, segment.c.clip_id.in_(clips)
    yield prediction, prediction.c.unit_id.in_(units)
    yield clip_try, clip_try.c.unit_id.in_(units)
    yield clip, of_job & clip.c.duplicate_of.is_not(None)  # before the originals
    yield clip, of_job
    yield unit, unit.c.job_id == job_id
    yield shard, shard.c.job_id == job_id
    yield upload_part, upload_part.c.upload_id.in_(uploads)
    yield upload, upload.c.job_id == job_id
    yield webhook, webhook.c.job_id == job_id


def bury(connection: Connection, database: Database, job_id: int, prefix: str, sweep_after_s: float) -> None:
    """Remove the job's own row, and remember its prefix in the store for so many seconds."""
    values = {"prefix": prefix, "sweep_after": database.clock + sweep_after_s}
    connection.execute(database.insert(tombstone).values(values).on_conflict_do_nothing())
    connection.execute(delete(job).where(job.c.id == job_id))


def due_tombstones(connection: Connection, database: Database) -> list[Tombstone]:
    """Those whose prefix nothing can come into any more."""
    statement = select(tombstone.c.id, tombstone.c.prefix).where(tombstone.c.sweep_after < database.clock)
    return [Tombstone(*row) for row in connection.execute(statement)]


def delete_tombstone(connection: Connection, tombstone_id: int) -> None:
    """Nothing is left of the job."""
    connection.execute(delete(tombstone).where(tombstone.c.id == tombstone_id))


def needed_objects(connection: Connection, keys: Sequence[str], *, keeps_uploads: bool) -> set[str]:
    """Which of these keys in the store a row still needs.

    Args:
        connection: of a transaction.
        keys: some hundreds of them.
        keeps_uploads: whether an upload's object is kept once it is unpacked. An unpacker that dies right
            after its last commit leaves one behind.
    """
    shards = select(shard.c.object_key).where(shard.c.object_key.in_(keys))
    uploads = select(upload.c.object_key).where(upload.c.object_key.in_(keys))
    if not keeps_uploads:
        uploads = uploads.where(upload.c.state != UploadState.DONE)
    return {key for statement in (shards, uploads) for key in connection.execute(statement).scalars()}
