"""Rows of uploads: on their way in, whole, given up; and the parts of those that come in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from shared.core.states import UploadState
from shared.database.sessions import Database
from shared.database.tables import upload, upload_part
from shared.store.names import StoredObject


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A row of `upload`. Times are seconds since 1970 by the database's clock."""

    id: int
    job_id: int
    name: str
    object_key: str
    state: UploadState
    bytes: int
    bytes_read: int
    attempts: int
    lease_until: float | None
    rung_at: float | None
    next_member: int
    shards: int
    clips: int
    failed: int
    duplicates: int
    error_code: str | None
    error: str | None
    bucket: str | None
    multipart_id: str | None
    expected_bytes: int | None
    touched_at: float | None
    crashes: int
    returns: int
    not_before: float | None

    @property
    def stored(self) -> StoredObject:
        """Where its bytes lie."""
        return StoredObject(self.object_key, self.bucket)


def uploads_of(connection: Connection, job_ids: Sequence[int]) -> list[UploadRow]:
    """The uploads of these jobs, in the order in which they came."""
    statement = select(upload).where(upload.c.job_id.in_(job_ids)).order_by(upload.c.id)
    return [UploadRow(**row) for row in connection.execute(statement).mappings()]


def upload_named(connection: Connection, job_id: int, name: str) -> UploadRow | None:
    """A job's upload of this name, if it has one."""
    same = upload.c.job_id == job_id, upload.c.name == name
    row = connection.execute(select(upload).where(*same)).mappings().one_or_none()
    return None if row is None else UploadRow(**row)


def upload_names(connection: Connection, job_id: int) -> set[str]:
    """The names of a job's uploads."""
    return set(connection.execute(select(upload.c.name).where(upload.c.job_id == job_id)).scalars())


def insert_upload(
    connection: Connection,
    database: Database,
    job_id: int,
    name: str,
    object_key: str,
    expected_bytes: int | None,
) -> UploadRow:
    """A new upload that is being received."""
    values = {
        "job_id": job_id,
        "name": name,
        "object_key": object_key,
        "state": UploadState.RECEIVING,
        "expected_bytes": expected_bytes,
        "touched_at": database.clock,
    }
    made = insert(upload).values(values).returning(*upload.c)
    return UploadRow(**connection.execute(made).mappings().one())


def insert_sources(connection: Connection, job_id: int, objects: Sequence[tuple[StoredObject, int]]) -> None:
    """Objects of a bucket that is not ours, with their bytes, as uploads that have arrived."""
    common = {"job_id": job_id, "state": UploadState.PENDING}
    rows = [
        common | {"name": one.key, "object_key": one.key, "bucket": one.bucket, "bytes": size}
        for one, size in objects
    ]
    connection.execute(insert(upload), rows)


def add_part(
    connection: Connection,
    database: Database,
    row: UploadRow,
    multipart_id: str | None,
    number: int,
    etag: str,
    *,
    before: int,
    size: int,
) -> bool:
    """Note a part that the store has; False where the upload is no longer received, or not as far.

    Args:
        connection: of a write transaction.
        database: its clock says when the part came.
        row: the upload's.
        multipart_id: the store's name for the upload in parts.
        number: of the part, from 1.
        etag: the store's for the part.
        before: bytes that were acknowledged before this part.
        size: bytes of this part.
    """
    receiving = upload.c.id == row.id, upload.c.state == UploadState.RECEIVING, upload.c.bytes == before
    values = {"bytes": before + size, "multipart_id": multipart_id, "touched_at": database.clock}
    if connection.execute(update(upload).where(*receiving).values(values)).rowcount != 1:
        return False
    part = {"upload_id": row.id, "number": number, "etag": etag, "bytes": size}
    connection.execute(insert(upload_part).values(part))
    return True


def parts_of(connection: Connection, upload_id: int) -> dict[int, str]:
    """The store's tags of the parts that it has, by their numbers."""
    statement = select(upload_part.c.number, upload_part.c.etag).where(upload_part.c.upload_id == upload_id)
    return {row.number: row.etag for row in connection.execute(statement)}


def mark_arrived(connection: Connection, upload_id: int, size: int) -> UploadRow | None:
    """An upload that was received is whole in the store; None where it is no longer received."""
    receiving = upload.c.id == upload_id, upload.c.state == UploadState.RECEIVING
    values = {"state": UploadState.PENDING, "bytes": size, "multipart_id": None}
    statement = update(upload).where(*receiving).values(values).returning(*upload.c)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        return None
    connection.execute(delete(upload_part).where(upload_part.c.upload_id == upload_id))
    return UploadRow(**row)


def delete_receiving(connection: Connection, upload_id: int) -> None:
    """Remove an upload that is being received, with its parts; another is left alone."""
    receiving = upload.c.id == upload_id, upload.c.state == UploadState.RECEIVING
    gone = select(upload.c.id).where(*receiving)
    connection.execute(delete(upload_part).where(upload_part.c.upload_id.in_(gone)))
    connection.execute(delete(upload).where(*receiving))


def seal_uploads(connection: Connection, database: Database, job_id: int) -> list[int]:
    """The job's uploads that wait for unpack, in the order in which they came, noted as rung now."""
    pending = upload.c.job_id == job_id, upload.c.state == UploadState.PENDING
    connection.execute(update(upload).where(*pending).values(rung_at=database.clock))
    return list(connection.execute(select(upload.c.id).where(*pending).order_by(upload.c.id)).scalars())


def abandoned_uploads(connection: Connection, database: Database, silent_s: float) -> list[UploadRow]:
    """Uploads that are being received and have received nothing for so many seconds; locked."""
    abandoned = upload.c.state == UploadState.RECEIVING, upload.c.touched_at < database.clock - silent_s
    statement = select(upload).where(*abandoned).with_for_update()
    return [UploadRow(**row) for row in connection.execute(statement).mappings()]


def receiving_uploads(connection: Connection, job_id: int) -> list[UploadRow]:
    """A job's uploads that are being received."""
    receiving = upload.c.job_id == job_id, upload.c.state == UploadState.RECEIVING
    return [UploadRow(**row) for row in connection.execute(select(upload).where(*receiving)).mappings()]


def failed_uploads(connection: Connection, job_id: int) -> list[UploadRow]:
    """A job's uploads that have failed."""
    failed = upload.c.job_id == job_id, upload.c.state == UploadState.FAILED
    return [UploadRow(**row) for row in connection.execute(select(upload).where(*failed)).mappings()]


def fail_receiving(connection: Connection, upload_id: int, error_code: str, error: str) -> None:
    """An upload that is being received has failed, with this code and sentence."""
    receiving = upload.c.id == upload_id, upload.c.state == UploadState.RECEIVING
    values = {"state": UploadState.FAILED, "error_code": error_code, "error": error}
    connection.execute(update(upload).where(*receiving).values(values))
