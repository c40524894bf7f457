"""Rows of clips and shards: what unpack finds in an upload, and where a recording's bytes lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, insert, select

from shared.core.states import JobState, WorkState
from shared.database.jobs import of_key
from shared.database.sessions import Database
from shared.database.tables import clip, job, prediction, shard, unit, upload


@dataclass(frozen=True, slots=True)
class UploadToUnpack:
    """An upload and what its job says of it: what an unpacker needs to know."""

    id: int
    name: str
    object_key: str
    bytes: int
    bucket: str | None
    next_member: int
    job_id: int
    job_key: str
    model_version: str
    encoding: str | None


@dataclass(frozen=True, slots=True)
class FoundClip:
    """A recording that was taken out of its archive.

    member: its number there, from 0; offset, size: in bytes, of its place in the shard.
    """

    member: int
    path: str
    sha256: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class LostClip:
    """A member that could not be taken out, and why."""

    member: int
    path: str
    error_code: str
    error: str


@dataclass(frozen=True, slots=True)
class ClipToClassify:
    """A clip that has no prediction yet, and its place in its shard: bytes from `offset` on."""

    id: int
    upload_id: int
    member: int
    path: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class ClipPlace:
    """Where a clip's bytes lie; `object_key` is None, and `error` says why, where unpack has none of it."""

    error: str | None
    offset: int
    size: int
    object_key: str | None


def upload_to_unpack(connection: Connection, upload_id: int) -> UploadToUnpack:
    """An upload that is there."""
    statement = (
        select(
            upload.c.id, upload.c.name, upload.c.object_key, upload.c.bytes, upload.c.bucket,
            upload.c.next_member, job.c.id.label("job_id"), job.c.key.label("job_key"),
            job.c.model_version, job.c.encoding,
        )
        .join(job, job.c.id == upload.c.job_id)
        .where(upload.c.id == upload_id)
    )  # fmt: skip
    return UploadToUnpack(**connection.execute(statement).mappings().one())


def insert_shard(
    connection: Connection, database: Database, row: UploadToUnpack, object_key: str, size: int, clips: int
) -> tuple[int, int]:
    """A shard of the upload, and the unit that classifies it under the job's version; the ids of both.

    Args:
        connection: of a write transaction.
        database: its clock says when the unit was rung for: now.
        row: the upload that the shard's clips are of.
        object_key: where the shard lies in the store.
        size: its bytes.
        clips: how many it holds.
    """
    number = select(func.count() + 1).where(shard.c.upload_id == row.id).scalar_subquery()
    values = {"job_id": row.job_id, "upload_id": row.id, "number": number, "object_key": object_key,
              "bytes": size, "clips": clips}  # fmt: skip
    shard_id = int(connection.execute(insert(shard).values(values).returning(shard.c.id)).scalar_one())
    values = {
        "job_id": row.job_id,
        "shard_id": shard_id,
        "state": WorkState.PENDING,
        "model_version": row.model_version,
        "rung_at": database.clock,
    }
    unit_id = int(connection.execute(insert(unit).values(values).returning(unit.c.id)).scalar_one())
    return shard_id, unit_id


def insert_lost_clips(connection: Connection, row: UploadToUnpack, clips: Sequence[LostClip]) -> None:
    """Members of an upload that unpack could not take out: their rows say so under every version."""
    if clips:
        common: dict[str, Any] = {"job_id": row.job_id, "upload_id": row.id}
        connection.execute(insert(clip), [common | _columns(one) for one in clips])


def insert_clips(
    connection: Connection,
    database: Database,
    row: UploadToUnpack,
    shard_id: int | None,
    clips: Sequence[FoundClip],
) -> int:
    """Insert clips that have bytes; those whose bytes the job has already point to the first.

    In order of sha256, so that two unpackers on one job take the index's locks in one order.

    Returns:
        The number of duplicates.
    """
    if not clips:
        return 0
    common: dict[str, Any] = {"job_id": row.job_id, "upload_id": row.id, "shard_id": shard_id}
    rows = [common | _columns(one) for one in sorted(clips, key=lambda one: (one.sha256, one.member))]
    originals = database.insert(clip).on_conflict_do_nothing(
        index_elements=["job_id", "sha256"], index_where=clip.c.duplicate_of.is_(None)
    )
    connection.execute(originals, rows)
    members = [one.member for one in clips]
    here = select(clip.c.member).where(clip.c.upload_id == row.id, clip.c.member.in_(members))
    inserted = set(connection.execute(here).scalars())
    left = [one for one in rows if one["member"] not in inserted]
    if not left:
        return 0
    wanted = {one["sha256"] for one in left}
    of_job = clip.c.job_id == row.job_id, clip.c.duplicate_of.is_(None), clip.c.sha256.in_(wanted)
    first = dict(connection.execute(select(clip.c.sha256, clip.c.id).where(*of_job)).all())
    connection.execute(insert(clip), [one | {"duplicate_of": first[str(one["sha256"])]} for one in left])
    return len(left)


def _columns(one: FoundClip | LostClip) -> dict[str, Any]:
    if isinstance(one, LostClip):
        return {"member": one.member, "path": one.path, "error_code": one.error_code, "error": one.error}
    return {"member": one.member, "path": one.path, "sha256": one.sha256, "offset": one.offset,
            "size": one.size}  # fmt: skip


def clips_found(connection: Connection, upload_id: int) -> int:
    """How many clips of an upload are committed."""
    return int(connection.execute(select(upload.c.clips).where(upload.c.id == upload_id)).scalar_one())


def clips_to_classify(connection: Connection, shard_id: int, model_version: str) -> list[ClipToClassify]:
    """A shard's clips that have bytes of their own and no prediction under a version, in archive order."""
    done = exists().where(prediction.c.clip_id == clip.c.id, prediction.c.model_version == model_version)
    statement = (
        select(clip.c.id, clip.c.upload_id, clip.c.member, clip.c.path, clip.c.offset, clip.c.size)
        .where(clip.c.shard_id == shard_id, clip.c.duplicate_of.is_(None), ~done)
        .order_by(clip.c.member)
    )
    return [ClipToClassify(*row) for row in connection.execute(statement)]


def clip_place(connection: Connection, clip_id: int, key_id: int | None) -> ClipPlace | None:
    """Where a clip's bytes lie; None where there is no such clip in jobs `of_key` that are not deleted."""
    statement = (
        select(clip.c.error, clip.c.offset, clip.c.size, shard.c.object_key)
        .join(job, job.c.id == clip.c.job_id)
        .outerjoin(shard, shard.c.id == clip.c.shard_id)
        .where(clip.c.id == clip_id, job.c.state != JobState.DELETING, of_key(key_id))
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else ClipPlace(*row)
