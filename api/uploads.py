"""Uploads: a raw body, streamed to the store in parts; memory does not grow with its size."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request
from sqlalchemy import delete, insert, select, update
from starlette.concurrency import run_in_threadpool

from api.jobs import JobId, UploadDocument, find, lock_open_job
from api.parts import Parts, Wired
from shared import archives
from shared.database.tables import upload
from shared.errors import (
    EmptyUpload,
    StoreFull,
    UploadExists,
    UploadReplaced,
    UploadTooLarge,
    VoxmoodError,
)
from shared.settings import MEBIBYTE
from shared.storage import PartWriter, upload_key

log = logging.getLogger(__name__)
router = APIRouter(prefix="/v1/jobs/{job_id}/uploads", tags=["uploads"])
# An upload needs its bytes twice for a while, packed and as shards, and the database needs air.
ROOM_FACTOR, ROOM_LEFT_BYTES = 2, 256 * MEBIBYTE


@router.put(
    "/{name:path}",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "a zip, tar or tar.gz archive, or one WAV, FLAC, AIFF, OGG or MP3 file",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_upload(
    job_id: JobId,
    name: Annotated[str, Path(min_length=1, max_length=1000, description="as results will name it")],
    request: Request,
    parts: Wired,
    content_length: Annotated[int | None, Header(ge=0)] = None,
) -> UploadDocument:
    """Send one archive or recording as the raw body. A broken upload is sent again under its name."""
    upload_id, key = await run_in_threadpool(_open, parts, job_id, name, content_length)
    receiver = _Receiver(parts, key, name)
    try:
        async with parts.upload_places:
            await receiver.receive(request.stream())
            return await run_in_threadpool(_close, parts, upload_id, name, receiver.received)
    except BaseException:
        # A client that went away, a full store, a kind that is not read: as if it had never begun.
        await run_in_threadpool(_forget, parts, upload_id, receiver)
        raise


def _open(parts: Parts, job_id: int, name: str, expected_bytes: int | None) -> tuple[int, str]:
    """The upload's row, `receiving`. One that broke off under the same name gives way."""
    limit = parts.settings.max_upload_bytes
    if expected_bytes is not None:
        if expected_bytes > limit:
            raise UploadTooLarge(name=name, limit_bytes=limit)
        if parts.settings.store_dir is not None:
            free = shutil.disk_usage(parts.settings.store_dir).free
            if free < ROOM_FACTOR * expected_bytes + ROOM_LEFT_BYTES:
                raise StoreFull
    with parts.database.write() as connection:
        lock_open_job(connection, job_id)
        same = upload.c.job_id == job_id, upload.c.name == name
        connection.execute(delete(upload).where(*same, upload.c.state == "receiving"))
        if connection.execute(select(upload.c.id).where(*same)).one_or_none() is not None:
            raise UploadExists(job=job_id, name=name)
        key = upload_key(find(connection, job_id)["key"])
        values = {"job_id": job_id, "name": name, "object_key": key, "state": "receiving"}
        upload_id: int = connection.execute(insert(upload).values(values).returning(upload.c.id)).scalar_one()
    return upload_id, key


def _close(parts: Parts, upload_id: int, name: str, received: int) -> UploadDocument:
    """From here the upload is ours to keep: the store has it, and its row says so."""
    with parts.database.write() as connection:
        statement = (
            update(upload)
            .where(upload.c.id == upload_id, upload.c.state == "receiving")
            .values(state="pending", bytes=received)
            .returning(*upload.c)
        )
        row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise UploadReplaced(name=name)
    return UploadDocument.model_validate(dict(row))


def _forget(parts: Parts, upload_id: int, receiver: _Receiver) -> None:
    with parts.database.write() as connection:
        connection.execute(delete(upload).where(upload.c.id == upload_id, upload.c.state == "receiving"))
    try:
        receiver.discard()
    except VoxmoodError as error:
        log.warning("upload %s: what was received could not be removed: %s", upload_id, error)


class _Receiver:
    """One body on its way into the store: a single PUT if it is small, else parts of `part_bytes`."""

    def __init__(self, parts: Parts, key: str, name: str) -> None:
        self._storage = parts.storage
        self._part_bytes = parts.settings.part_bytes
        self._limit = parts.settings.max_upload_bytes
        self._key = key
        self._name = name
        self._writer: PartWriter | None = None
        self._parts = 0
        self._stored = False
        self.received = 0

    async def receive(self, stream: AsyncIterator[bytes]) -> None:
        """All of the body; raises EmptyUpload, UnknownArchive, UploadTooLarge."""
        held = bytearray()
        judged = False
        async for chunk in stream:
            held += chunk
            self.received += len(chunk)
            if self.received > self._limit:
                raise UploadTooLarge(name=self._name, limit_bytes=self._limit)
            if not judged and len(held) >= archives.HEAD_BYTES:
                archives.kind_of(bytes(held[: archives.HEAD_BYTES]), self._name)
                judged = True
            while len(held) >= self._part_bytes:
                part = bytes(held[: self._part_bytes])
                del held[: self._part_bytes]
                await run_in_threadpool(self._store, part)
        if not self.received:
            raise EmptyUpload(name=self._name)
        if not judged:
            archives.kind_of(bytes(held), self._name)
        await run_in_threadpool(self._finish, bytes(held))

    def _store(self, part: bytes) -> None:
        if self._writer is None:
            self._writer = self._storage.write(self._key)
        self._parts += 1
        self._writer.part(self._parts, part)

    def _finish(self, rest: bytes) -> None:
        if self._writer is None:
            self._storage.put(self._key, rest)
        else:
            if rest:
                self._store(rest)
            self._writer.complete()
        self._stored = True

    def discard(self) -> None:
        """Leave nothing in the store."""
        if self._stored:
            self._storage.delete(self._key)
        elif self._writer is not None:
            self._writer.abort()
