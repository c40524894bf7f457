"""Unpack: an upload becomes shards in the store and clip rows in the database, by the lease protocol."""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from shared import archives
from shared.archives import Member
from shared.core import logs
from shared.core.errors.infrastructure import InfrastructureError
from shared.core.errors.recordings import ClipError
from shared.core.errors.uploads import EmptyArchive, UnpackFailed, UploadError
from shared.core.states import UploadState
from shared.database import clips, work
from shared.database.clips import FoundClip, LostClip, UploadToUnpack
from shared.database.sessions import Connection
from shared.database.tables import upload
from shared.database.work import Lease
from shared.jobs import leases
from shared.jobs.doorbell import CLASSIFY
from shared.limits import archive_limits
from shared.store import shards
from shared.store.names import StoredObject, shard_key
from shared.store.shards import ClipLocation, Shard
from workers.deadman import alive, deadman
from workers.renewal import Renewal
from workers.services import Services
from workers.work import LeasedWork, look

log = logging.getLogger(__name__)
# Tries that the archive itself ended, or that cost a child its life, without one boundary between them.
MOST_CRASHES = 8


@dataclass(slots=True)
class Batch:
    """What goes into the database at the next shard boundary."""

    next_member: int
    found: list[FoundClip] = field(default_factory=list)
    lost: list[LostClip] = field(default_factory=list)
    shard: Shard = field(default_factory=Shard)
    own_shard: tuple[str, int] | None = None  # key and bytes of a recording that is a shard of its own

    def __len__(self) -> int:
        return len(self.found) + len(self.lost)

    def add(self, member: Member, location: ClipLocation) -> None:
        """Note a recording, and where its bytes lie."""
        self.found.append(
            FoundClip(member.number, member.path, location.sha256, location.offset, location.size)
        )
        self.next_member = member.number + 1

    def add_lost(self, member: Member, error: ClipError) -> None:
        """Note a member that could not be taken out, and why."""
        self.lost.append(LostClip(member.number, member.path, error.code, str(error)))
        self.next_member = member.number + 1


def unpack(services: Services, upload_id: int) -> str:
    """Do what is left of an upload; returns a sentence for Flower."""
    lease = leases.take(services.database, upload, upload_id, services.settings.lease_s)
    if lease is None:
        return "nothing to do"
    logs.note(job=lease.job_id)
    row = look(services.database, lease, lambda connection: clips.upload_to_unpack(connection, upload_id))
    with deadman(services.settings.unpack_stall_s):
        return Unpacking(services, lease, row).perform()


class Unpacking(LeasedWork):
    """One leased upload on its way into shards."""

    def __init__(self, services: Services, lease: Lease, row: UploadToUnpack) -> None:
        self.services = services
        self.lease = lease
        self.row = row
        self.committed = row.next_member
        self.batch = Batch(self.committed)
        self.position = 0
        self.failed = False
        self.crashes = lease.crashes  # since the last boundary
        lease_s = services.settings.lease_s
        self._renewed = Renewal(lambda: leases.renew(services.database, lease, lease_s), lease_s)

    def run(self) -> str:
        """Through all members; the last boundary sets the upload done (or failed) in its transaction."""
        if self.crashes >= MOST_CRASHES:
            return self.give_up(ChildProcessError("the process that unpacked it was lost each time"))
        try:
            for member in self._members():
                if member.number >= self.batch.next_member:
                    self._take(member)
        except UploadError as error:
            return self._end(error)
        return self._end(None)

    def give_back(self, *, keep: bool = False, pause: bool = False, crashed: bool = False) -> None:
        """As any leased work; what was committed at a boundary is kept in any case."""
        leases.give_back(self.services.database, self.lease, pause=pause, crashed=crashed)

    def is_hopeless(self, error: Exception) -> bool:
        """Where the upload's object stays away, or it has broken as often as may be."""
        if isinstance(error, InfrastructureError):
            return leases.is_lost(error, self.lease)
        return self.crashes + 1 >= MOST_CRASHES

    def give_up(self, error: Exception) -> str:
        """End an upload that broke each attempt in a way that no archive should."""
        log.error("upload %s: given up at attempt %s", self.row.id, self.lease.attempts, exc_info=error)
        self.batch = Batch(self.committed)
        reason = f"{type(error).__name__}: {error}"
        return self._end(UnpackFailed(name=self.row.name, reason=reason))

    def finish(self) -> None:
        """Close a job that had no other work; remove what was sent, now that its shards are committed.

        A failed upload stays, for `retry`.
        """
        leases.close_job(self.services.database, self.lease.job_id)
        if not self.failed and self.row.bucket is None and not self.services.settings.keep_uploads:
            self.services.storage.delete(self.row.object_key)

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
        if len(self.batch) >= settings.shard_clips:
            self._boundary()
        if member.error is not None:
            self.batch.add_lost(member, member.error)
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
            self.batch.add_lost(member, error)
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
        if not len(batch) and not end:
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
        """In one transaction: how far the upload is, its shard and unit, and its clips; the unit's id."""
        database, batch, row = self.services.database, self.batch, self.row
        work.fence_progress(
            connection,
            database,
            self.lease,
            committed=self.committed,
            next_member=batch.next_member,
            lease_s=self.services.settings.lease_s,
            bytes_read=self.position,
            shards=int(stored is not None),
            clips=len(batch),
            failed=len(batch.lost),
        )
        shard_id = unit_id = None
        if stored is not None:
            shard_id, unit_id = clips.insert_shard(connection, database, row, *stored, len(batch.found))
        clips.insert_lost_clips(connection, row, batch.lost)
        duplicates = clips.insert_clips(connection, database, row, shard_id, batch.found)
        if duplicates or end:
            work.fence_duplicates(connection, self.lease, duplicates, **end)
        return unit_id

    def _end(self, error: UploadError | None) -> str:
        """The last boundary. What was read before an archive broke is kept."""
        with self.services.database.read() as connection:
            found = clips.clips_found(connection, self.row.id) + len(self.batch)
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
