"""Unpack: an upload becomes shards in the store and clip rows in the database, by the lease protocol."""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection, func, insert, select

from shared import archives
from shared.archives import Member
from shared.core import logs
from shared.core.errors.infrastructure import InfrastructureError, ObjectMissing
from shared.core.errors.recordings import ClipError
from shared.core.errors.uploads import EmptyArchive, UnpackFailed, UploadError
from shared.core.states import UploadState, WorkState
from shared.database.tables import clip, job, shard, unit, upload
from shared.jobs import leases
from shared.jobs.doorbell import CLASSIFY
from shared.jobs.leases import Lease, LeaseLost
from shared.limits import archive_limits
from shared.store import shards
from shared.store.names import StoredObject, shard_key
from shared.store.shards import ClipLocation, Shard
from workers.deadman import alive, deadman
from workers.ending import Ending
from workers.renewal import Renewal
from workers.services import Services

log = logging.getLogger(__name__)
# Tries that the archive itself ended, or that cost a child its life, without one boundary between them.
MOST_CRASHES = 8


@dataclass(slots=True)
class Batch:
    """What goes into the database at the next shard boundary."""

    next_member: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    shard: Shard = field(default_factory=Shard)
    own_shard: tuple[str, int] | None = None  # key and bytes of a recording that is a shard of its own
    failed: int = 0

    def add(self, member: Member, placed: ClipLocation | None, error: ClipError | None = None) -> None:
        """Note a member: where its bytes lie, or why it failed."""
        row: dict[str, Any] = {"member": member.number, "path": member.path}
        if placed is not None:
            row |= {"sha256": placed.sha256, "offset": placed.offset, "size": placed.size}
        if error is not None:
            row |= {"error_code": error.code, "error": str(error)}
            self.failed += 1
        self.rows.append(row)
        self.next_member = member.number + 1


def unpack(services: Services, upload_id: int) -> str:
    """Do what is left of an upload; returns a sentence for Flower."""
    lease = leases.take(services.database, upload, upload_id, services.settings.lease_s)
    if lease is None:
        return "nothing to do"
    unpacking = Unpacking(services, lease)
    with deadman(services.settings.unpack_stall_s):
        try:
            text = unpacking.run()
        except LeaseLost:
            leases.give_back(
                services.database, lease
            )  # still ours where the answer to our own commit was lost
            return "lease lost; another worker has it"
        except Ending:
            leases.give_back(services.database, lease)
            return "given back: this worker ends"
        except InfrastructureError as error:
            if not isinstance(error, ObjectMissing) or lease.returns < leases.RETURNS_UNTIL_LOST:
                leases.give_back(services.database, lease, pause=True)
                raise
            text = unpacking.give_up(error)
        except Exception as error:
            log.exception("upload %s: attempt %s failed", upload_id, lease.attempts)
            if unpacking.crashes + 1 < MOST_CRASHES:
                leases.give_back(services.database, lease, pause=True, crashed=True)
                if isinstance(error, MemoryError):  # Celery would raise it again in the main process
                    return "out of memory"
                raise
            text = unpacking.give_up(error)
    leases.close_job(services.database, lease.job_id)
    unpacking.tidy()
    return text


class Unpacking:
    """One leased upload on its way into shards."""

    def __init__(self, services: Services, lease: Lease) -> None:
        self.services = services
        self.lease = lease
        logs.note(job=lease.job_id)
        self.position = 0
        self.failed = False
        self.crashes = lease.crashes  # since the last boundary
        lease_s = services.settings.lease_s
        self._renewed = Renewal(lambda: leases.renew(services.database, lease, lease_s), lease_s)

    def _look(self) -> None:
        with self.services.database.read() as connection:
            statement = select(
                upload.c.id, upload.c.name, upload.c.object_key, upload.c.bytes, upload.c.bucket,
                upload.c.next_member, job.c.id.label("job_id"), job.c.key.label("job_key"),
                job.c.model_version, job.c.encoding,
            ).join(job, job.c.id == upload.c.job_id)  # fmt: skip
            self.row = connection.execute(statement.where(upload.c.id == self.lease.id)).one()
        self.committed = self.row.next_member
        self.batch = Batch(self.committed)

    def run(self) -> str:
        """Through all members; the last boundary sets the upload done (or failed) in its transaction."""
        self._look()
        if self.crashes >= MOST_CRASHES:
            return self.give_up(ChildProcessError("the process that unpacked it was lost each time"))
        try:
            for member in self._members():
                if member.number >= self.batch.next_member:
                    self._take(member)
        except UploadError as error:
            return self._end(error)
        return self._end(None)

    def _members(self) -> Iterator[Member]:
        row, storage, settings = self.row, self.services.storage, self.services.settings
        stored = StoredObject(row.object_key, row.bucket)
        source = storage.open(stored, 0, row.bytes, self._on_read)
        with source:
            file = cast("BinaryIO", source)
            kind = archives.kind_in(file, row.name)
            limits = archive_limits(settings)
            yield from archives.members(file, row.name, kind, limits, self._goes_on, row.encoding)

    def _on_read(self, count: int) -> None:
        """Renew the lease after each 8 MB from the store, so that a read that hangs loses it."""
        self.position = min(self.position + count, self.row.bytes)
        self._goes_on()

    def _goes_on(self) -> None:
        alive()
        self._renewed()

    def _take(self, member: Member) -> None:
        settings, storage = self.services.settings, self.services.storage
        if len(self.batch.rows) >= settings.shard_clips:
            self._boundary()
        if member.error is not None:
            self.batch.add(member, None, member.error)
            return
        key = shard_key(self.row.job_key)
        name = f"{member.number:08d}.{archives.extension(member.path)}"
        try:
            gathered = shards.gather(
                member.chunks(),
                member.path,
                name,
                storage,
                key,
                settings.shard_bytes,
                settings.max_clip_bytes,
            )
        except ClipError as error:
            self.batch.add(member, None, error)
            return
        if gathered.recording is None:
            self._boundary()  # what came before it goes first: members are committed in their order
            self.batch.own_shard = (key, gathered.own_shard_bytes)
            self.batch.add(member, ClipLocation(gathered.sha256, tarfile.BLOCKSIZE, gathered.size))
            self._boundary()
            return
        if self.batch.shard.clips and len(self.batch.shard.body) + gathered.size > settings.shard_bytes:
            self._boundary()
        self.batch.add(member, self.batch.shard.add(name, gathered.recording, gathered.sha256))

    def _boundary(self, **end: Any) -> None:
        """Write the shard, then commit it with its clips and its unit, then ring for the unit."""
        batch = self.batch
        if not batch.rows and not end:
            return
        stored = batch.own_shard
        if batch.shard.clips:
            stored = (shard_key(self.row.job_key), len(batch.shard.body))
            self.services.storage.put(stored[0], batch.shard.finished())
        unit_id = self.services.database.write_again(lambda connection: self._commit(connection, stored, end))
        alive()
        self.committed, self.crashes = batch.next_member, 0
        self.batch = Batch(self.committed)
        if unit_id is not None:
            with self.services.database.read() as connection:
                bells = leases.bells_for(connection, CLASSIFY, [unit_id])
            self.services.doorbell.ring(bells)

    def _commit(
        self, connection: Connection, stored: tuple[str, int] | None, end: dict[str, Any]
    ) -> int | None:
        database, batch, row = self.services.database, self.batch, self.row
        leases.fence(
            connection,
            self.lease,
            upload.c.lease_until > database.clock,
            upload.c.next_member == self.committed,  # tried again, it must not insert what it has inserted
            next_member=batch.next_member,
            lease_until=database.clock + self.services.settings.lease_s,
            bytes_read=self.position,
            shards=upload.c.shards + int(stored is not None),
            clips=upload.c.clips + len(batch.rows),
            failed=upload.c.failed + batch.failed,
            crashes=0,
        )
        shard_id = unit_id = None
        if stored is not None:
            shard_id, unit_id = self._insert_shard(connection, stored)
        common = {"job_id": row.job_id, "upload_id": row.id}
        failed = [common | clip_row for clip_row in batch.rows if "error" in clip_row]
        placed = [
            common | clip_row | {"shard_id": shard_id} for clip_row in batch.rows if "error" not in clip_row
        ]
        if failed:
            connection.execute(insert(clip), failed)
        duplicates = insert_clips(database, connection, placed)
        if duplicates or end:
            values: dict[str, Any] = {"duplicates": upload.c.duplicates + duplicates} | end
            leases.fence(connection, self.lease, **values)
        return unit_id

    def _insert_shard(self, connection: Connection, stored: tuple[str, int]) -> tuple[int, int]:
        key, size = stored
        number = select(func.count() + 1).where(shard.c.upload_id == self.row.id).scalar_subquery()
        values = {"job_id": self.row.job_id, "upload_id": self.row.id, "number": number, "object_key": key,
                  "bytes": size, "clips": len(self.batch.rows) - self.batch.failed}  # fmt: skip
        shard_id = connection.execute(insert(shard).values(values).returning(shard.c.id)).scalar_one()
        values = {
            "job_id": self.row.job_id,
            "shard_id": shard_id,
            "state": WorkState.PENDING,
            "model_version": self.row.model_version,
            "rung_at": self.services.database.clock,
        }
        unit_id = connection.execute(insert(unit).values(values).returning(unit.c.id)).scalar_one()
        return shard_id, unit_id

    def tidy(self) -> None:
        """Remove what was sent, now that its shards are committed. A failed upload stays, for `retry`."""
        if not self.failed and self.row.bucket is None and not self.services.settings.keep_uploads:
            self.services.storage.delete(self.row.object_key)

    def give_up(self, error: Exception) -> str:
        """End an upload that broke each attempt in a way that no archive should."""
        self.batch = Batch(self.committed)
        reason = f"{type(error).__name__}: {error}"
        return self._end(UnpackFailed(name=self.row.name, reason=reason))

    def _end(self, error: UploadError | None) -> str:
        """The last boundary. What was read before an archive broke is kept."""
        with self.services.database.read() as connection:
            before = connection.execute(select(upload.c.clips).where(upload.c.id == self.row.id)).scalar_one()
        found = before + len(self.batch.rows)
        if error is None and not found:
            error = EmptyArchive(name=self.row.name)
        if error is not None and "kept" in error.facts:
            error = type(error)(**error.facts | {"kept": found})
        self.failed = not found
        end: dict[str, Any] = {
            "state": UploadState.FAILED if self.failed else UploadState.DONE,
            "lease_until": None,
        }
        self.position = self.row.bytes
        if error is not None:
            end |= {"error_code": error.code, "error": str(error)}
        self._boundary(**end)
        return str(error) if error is not None else f"{found} recording{'' if found == 1 else 's'}"


def insert_clips(database: Any, connection: Connection, rows: list[dict[str, Any]]) -> int:
    """Insert clips that have bytes; those whose bytes the job has already point to the first.

    In order of sha256, so that two unpackers on one job take the index's locks in one order. Returns
    the number of duplicates.
    """
    if not rows:
        return 0
    rows = sorted(rows, key=lambda row: (row["sha256"], row["member"]))
    originals = database.insert(clip).on_conflict_do_nothing(
        index_elements=["job_id", "sha256"], index_where=clip.c.duplicate_of.is_(None)
    )
    connection.execute(originals, rows)
    job_id, upload_id = rows[0]["job_id"], rows[0]["upload_id"]
    members = [row["member"] for row in rows]
    inserted = set(
        connection.execute(
            select(clip.c.member).where(clip.c.upload_id == upload_id, clip.c.member.in_(members))
        ).scalars()
    )
    left = [row for row in rows if row["member"] not in inserted]
    if not left:
        return 0
    first = dict(
        connection.execute(
            select(clip.c.sha256, clip.c.id).where(
                clip.c.job_id == job_id,
                clip.c.duplicate_of.is_(None),
                clip.c.sha256.in_({row["sha256"] for row in left}),
            )
        ).all()
    )
    connection.execute(insert(clip), [row | {"duplicate_of": first[row["sha256"]]} for row in left])
    return len(left)
