"""An upload on its way in: rows and parts, so that it goes on where it broke off, whoever died."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import deque
from collections.abc import AsyncIterator
from contextlib import closing, suppress

from starlette.concurrency import run_in_threadpool

from api.jobs import find, lock_open_job
from api.services import Services
from api.spool import Spool
from shared import archives
from shared.core.errors.base import VoxmoodError
from shared.core.errors.infrastructure import StoreFull
from shared.core.errors.requests import UploadExists, UploadOffset, UploadReplaced
from shared.core.errors.uploads import EmptyUpload, UploadTooLarge
from shared.core.settings import MEBIBYTE
from shared.core.states import UploadState
from shared.database import uploads
from shared.database.uploads import UploadRow
from shared.jobs.status import upload_document
from shared.store.names import upload_key
from voxmood.documents import UploadDocument

log = logging.getLogger(__name__)
# An upload needs its bytes twice for a while, packed and as shards, and the database needs air.
ROOM_FACTOR, ROOM_LEFT_BYTES = 2, 256 * MEBIBYTE
PARTS_AT_ONCE = 2  # of an upload on their way into the store, which takes a core for each
# That an upload holds in memory before it goes to disk: whoever is fast writes 32 times for a part.
HELD_BYTES = 256 * 1024


def check_room(services: Services, name: str, expected_bytes: int | None) -> None:
    """UploadTooLarge or StoreFull before anything is sent, where the size is announced."""
    if expected_bytes is None:
        return
    limit = services.settings.max_upload_bytes
    if expected_bytes > limit:
        raise UploadTooLarge(name=name, limit_bytes=limit)
    if services.settings.store_dir is not None:
        free = shutil.disk_usage(services.settings.store_dir).free
        if free < ROOM_FACTOR * expected_bytes + ROOM_LEFT_BYTES:
            raise StoreFull


def begin(services: Services, job_id: int, name: str, expected_bytes: int | None) -> UploadRow:
    """A new row, `receiving`. One that broke off under the same name gives way."""
    with services.database.write() as connection:
        lock_open_job(connection, job_id)
        earlier = uploads.upload_named(connection, job_id, name)
        if earlier is not None:
            if earlier.state != UploadState.RECEIVING:
                raise UploadExists(job=job_id, name=name)
            uploads.delete_receiving(connection, earlier.id)
        object_key = upload_key(find(connection, job_id).key)
        row = uploads.insert_upload(connection, services.database, job_id, name, object_key, expected_bytes)
        services.check_stored_bytes(connection, job_id)
    if earlier is not None and earlier.multipart_id is not None:
        services.storage.abort_parts(earlier.object_key, earlier.multipart_id)
    return row


def go_on(services: Services, job_id: int, name: str, start: int) -> UploadRow:
    """The row of an upload that broke off, if its acknowledged bytes end at `start`; else UploadOffset."""
    with services.database.write() as connection:
        lock_open_job(connection, job_id)
        row = uploads.upload_named(connection, job_id, name)
    is_receiving = row is not None and row.state == UploadState.RECEIVING
    received = row.bytes if row is not None and is_receiving else 0
    if row is None or not is_receiving or received != start:
        raise UploadOffset(name=name, received=received, start=start)
    return row


class Receiver:
    """One body on its way into the store: a single PUT if it is small, else acknowledged parts.

    What comes is gathered on disk. Only once it makes a part it is one of the few that go
    into the store, from memory, and for as long as the store takes: a client that drips has none.
    """

    def __init__(self, services: Services, row: UploadRow) -> None:
        self._services = services
        self._row = row
        self._multipart_id: str | None = row.multipart_id
        self._number = row.bytes // services.settings.part_bytes  # of the last part acknowledged
        self._on_the_way: deque[tuple[asyncio.Future[str], int]] = deque()  # tags to come, and bytes
        self.acknowledged: int = row.bytes

    async def receive(self, stream: AsyncIterator[bytes]) -> UploadDocument:
        """The rest of the body; raises EmptyUpload, UnknownArchive, UploadTooLarge."""
        with closing(Spool(self._services.settings.spool_dir)) as spool:
            return await self._receive(stream, spool)

    async def _receive(self, stream: AsyncIterator[bytes], spool: Spool) -> UploadDocument:
        name, limit = self._row.name, self._services.settings.max_upload_bytes
        part_bytes = self._services.settings.part_bytes
        held = bytearray()
        received = self.acknowledged
        judged = received > 0
        try:
            async for chunk in stream:
                held += chunk
                received += len(chunk)
                if received > limit:
                    raise UploadTooLarge(name=name, limit_bytes=limit)
                if not judged and len(held) >= archives.HEAD_BYTES:
                    archives.kind_of(bytes(held[: archives.HEAD_BYTES]), name)
                    judged = True
                while (rest := part_bytes - spool.size) <= len(held):
                    await self._send(spool, bytes(held[:rest]))
                    del held[:rest]
                if len(held) >= HELD_BYTES:
                    await run_in_threadpool(spool.add, held)
                    held.clear()
        except BaseException:
            with suppress(Exception):  # what is raised already says more
                await self._arrive()
            raise
        if not received:
            raise EmptyUpload(name=name)
        if not judged:
            archives.kind_of(bytes(held), name)
        await self._arrive()
        async with self._services.parts_at_once:
            return await run_in_threadpool(lambda: self._finish(spool.taken() + held))

    async def _send(self, spool: Spool, rest: bytes) -> None:
        """The spool and its rest as a part on its way, once there is room beside those that are."""
        storage, key = self._services.storage, self._row.object_key
        if self._multipart_id is None:
            self._multipart_id = await run_in_threadpool(storage.begin_parts, key)
        while len(self._on_the_way) >= PARTS_AT_ONCE:
            await self._acknowledge_first()
        number, size = self._number + len(self._on_the_way) + 1, spool.size + len(rest)
        places, multipart_id = self._services.parts_at_once, self._multipart_id
        await places.acquire()

        def put() -> str:
            return storage.put_part(key, multipart_id, number, part.pop())

        try:
            part = [await run_in_threadpool(lambda: spool.taken() + rest)]
        except BaseException:
            places.release()
            raise
        sent = asyncio.ensure_future(run_in_threadpool(put))
        sent.add_done_callback(lambda _: places.release())
        self._on_the_way.append((sent, size))

    async def _arrive(self) -> None:
        """Wait for all parts on the way. Behind one that fails none is acknowledged."""
        try:
            while self._on_the_way:
                await self._acknowledge_first()
        finally:
            await asyncio.gather(*(sent for sent, _ in self._on_the_way), return_exceptions=True)
            self._on_the_way.clear()

    async def _acknowledge_first(self) -> None:
        sent, size = self._on_the_way[0]
        await run_in_threadpool(self._acknowledge, await sent, size)
        self._on_the_way.popleft()  # not before: what failed stays the first, and bars those behind it

    def _acknowledge(self, tag: str, size: int) -> None:
        """From here on this part need not be sent again: the store has it and the database says so."""
        number = self._number + 1
        with self._services.database.write() as connection:
            is_ours = uploads.add_part(
                connection,
                self._services.database,
                self._row,
                self._multipart_id,
                number,
                tag,
                before=self.acknowledged,
                size=size,
            )
            if not is_ours:
                raise UploadReplaced(name=self._row.name)
            self._services.check_stored_bytes(connection, self._row.job_id)
        self._number, self.acknowledged = number, self.acknowledged + size

    def _finish(self, rest: bytes) -> UploadDocument:
        storage, key = self._services.storage, self._row.object_key
        if self._multipart_id is None:
            storage.put(key, rest)
            self.acknowledged = len(rest)
        else:
            if rest:
                tag = storage.put_part(key, self._multipart_id, self._number + 1, rest)
                self._acknowledge(tag, len(rest))
            with self._services.database.read() as connection:
                tags = uploads.parts_of(connection, self._row.id)
            storage.complete_parts(key, self._multipart_id, tags, self.acknowledged)
        return self._close()

    def _close(self) -> UploadDocument:
        """From here the upload is ours to keep: the store has it, and its row says so."""
        with self._services.database.write() as connection:
            row = uploads.mark_arrived(connection, self._row.id, self.acknowledged)
            if row is None:
                raise UploadReplaced(name=self._row.name)
            self._services.check_stored_bytes(connection, self._row.job_id)
        return upload_document(row)

    def forget(self) -> None:
        """As if the upload had never begun."""
        with self._services.database.write() as connection:
            uploads.delete_receiving(connection, self._row.id)
        try:
            if self._multipart_id is not None:
                self._services.storage.abort_parts(self._row.object_key, self._multipart_id)
            self._services.storage.delete(self._row.object_key)
        except VoxmoodError as error:
            log.warning("upload %s: its parts could not be removed: %s", self._row.id, error)
