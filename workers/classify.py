"""Classify: the clips of one shard become predictions under one model version, by the lease protocol."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection, exists, func, select, update

from shared.core import logs
from shared.core.errors.infrastructure import InfrastructureError, ObjectMissing
from shared.core.errors.recordings import ClipError, CrashesDecoder, LostInStore, TakesTooMuchMemory
from shared.core.states import Outcome, WorkState
from shared.database import queries
from shared.database.tables import clip, clip_try, job, prediction, segment, shard, unit
from shared.jobs import leases
from shared.jobs.leases import Lease, LeaseLost
from shared.models.serving import registry, version_pins
from shared.models.serving.classifier import Classifier
from shared.models.serving.clip_results import ClipResult
from shared.store.names import StoredObject
from workers import ending
from workers.ending import Ending
from workers.renewal import Renewal
from workers.services import Services

# A lease that runs out is no evidence against a clip, but ten of them are.
ATTEMPTS_IN_BATCHES = 10
MOST_TRIES = 3
INSERTED_SEGMENTS = 1000  # a statement; a recording of 20 hours has 50,000
# Stands for the clip's path in error sentences: its duplicates share the prediction row.
PATH = "{path}"


@lru_cache(maxsize=4)
def classifier(models: tuple[Path, ...], version: str) -> Classifier:
    """The loaded network of a version, warm; one a process."""
    loaded = Classifier.load(models, version)
    loaded.warm()
    return loaded


def classify(services: Services, unit_id: int) -> str:
    """Do what is left of a unit; returns a sentence for Flower."""
    lease = leases.take(services.database, unit, unit_id, services.settings.lease_s)
    if lease is None:
        return "nothing to do"
    database, classifying = services.database, Classifying(services, lease)
    try:
        text = classifying.run()
    except LeaseLost:
        leases.give_back(database, lease)  # still ours only where the answer to our own commit was lost
        return "lease lost; another worker has it"
    except Ending:
        leases.give_back(database, lease, kept=classifying.keep)
        return "given back: this worker ends"
    except InfrastructureError as error:
        if not isinstance(error, ObjectMissing) or lease.returns < leases.RETURNS_UNTIL_LOST:
            leases.give_back(database, lease, pause=True, kept=classifying.keep)
            raise
        text = classifying.fail_all(LostInStore(path=PATH))
    except MemoryError:
        # Handed on, it would end the worker's main process too: Celery raises it there again.
        leases.give_back(database, lease, crashed=True)
        return "out of memory; it goes on clip by clip"
    except Exception:
        # Whatever it was, the next attempt goes clip by clip and finds the one that does it.
        leases.give_back(database, lease, pause=True, crashed=True)
        raise
    leases.close_job(database, lease.job_id)
    return text


class Classifying:
    """One leased unit on its way to predictions."""

    def __init__(self, services: Services, lease: Lease) -> None:
        self.services = services
        self.lease = lease
        self.clips: Sequence[Any] = ()
        self.verdicts: list[tuple[Any, ClipResult]] = []
        self.trying: int | None = None  # the clip whose try is counted and has not ended
        lease_s = services.settings.lease_s
        self._renewed = Renewal(lambda: leases.renew(services.database, lease, lease_s), lease_s)

    def _look(self) -> None:
        with self.services.database.read() as connection:
            statement = (
                select(unit.c.model_version, unit.c.shard_id, shard.c.object_key, shard.c.bytes,
                       job.c.threshold, job.c.windows, job.c.win_s, job.c.hop_s, job.c.channels)
                .join(shard, shard.c.id == unit.c.shard_id)
                .join(job, job.c.id == unit.c.job_id)
                .where(unit.c.id == self.lease.id)
            )  # fmt: skip
            self.row = connection.execute(statement).one()
            self.clips = self._clips_left(connection)
        logs.note(job=self.lease.job_id, shard=self.row.shard_id)

    def run(self) -> str:
        """All clips that have no prediction yet, then the unit's end."""
        self._look()
        models, version = self.services.settings.model_folders, self.row.model_version
        version_pins.confirm(self.services.database, registry.read_manifest(models, version))
        self.classifier = classifier(models, version)
        if self.lease.crashes or self.lease.attempts - self.lease.returns > ATTEMPTS_IN_BATCHES:
            self._one_by_one()
            return self._complete()
        size = self.classifier.batch_size(self.services.settings.batch_clips)
        sources = self._sources()
        for start in range(0, len(self.clips), size):
            batch = self.clips[start : start + size]
            found = self._classify([(row, sources(row)) for row in batch])
            self.verdicts.extend(zip(batch, found, strict=True))
            if start + size < len(self.clips):
                self._renewed()
        return self._complete()

    def fail_all(self, error: ClipError) -> str:
        """End the unit: what is left of it can never be read."""
        self.verdicts = [(row, ClipResult.failed(PATH, error)) for row in self.clips]
        return self._complete()

    def keep(self, connection: Connection) -> None:
        """What the next holder need not do again, in the transaction that gives the lease back."""
        self._insert(connection, self.verdicts)
        self._count(connection)
        if self.trying is not None:  # the clip had no part in what ended its try
            tried = clip_try.c.unit_id == self.lease.id, clip_try.c.clip_id == self.trying
            connection.execute(update(clip_try).where(*tried).values(tries=clip_try.c.tries - 1))

    def _clips_left(self, connection: Connection) -> Sequence[Any]:
        done = exists().where(
            prediction.c.clip_id == clip.c.id, prediction.c.model_version == self.row.model_version
        )
        statement = (
            select(clip.c.id, clip.c.upload_id, clip.c.member, clip.c.path, clip.c.offset, clip.c.size)
            .where(clip.c.shard_id == self.row.shard_id, clip.c.duplicate_of.is_(None), ~done)
            .order_by(clip.c.member)
        )
        return connection.execute(statement).all()

    def _sources(self) -> Any:
        """How a clip's bytes are had: from one GET of the shard, or, of a large one, by ranges."""
        storage, stored = self.services.storage, StoredObject(self.row.object_key)
        if self.row.bytes <= 2 * self.services.settings.shard_bytes:
            body = memoryview(storage.get(stored)) if self.clips else memoryview(b"")
            return lambda row: io.BytesIO(body[row.offset : row.offset + row.size])

        return lambda row: storage.open(stored, row.offset, row.size, lambda _count: self._renewed())

    def _classify(self, clips: Sequence[tuple[Any, BinaryIO]]) -> list[ClipResult]:
        sources = [(PATH, source) for _, source in clips]
        row = self.row
        return self.classifier.classify(
            sources,
            threshold=row.threshold,
            batch_clips=self.services.settings.batch_clips,
            windows=queries.windows_of(row._mapping),
            between=self._renewed,
        )

    def _one_by_one(self) -> None:
        """For a unit that cost a child its life: each try counted before it, each outcome alone."""
        sources = self._sources()
        for row in self.clips:
            ending.check()
            tries = self._count_try(row.id)
            self.trying = row.id
            if tries > MOST_TRIES:
                verdict = ClipResult.failed(PATH, CrashesDecoder(path=PATH, tries=MOST_TRIES))
            else:
                verdict = self._try(row, sources)
            self.services.database.write_again(partial(self._commit_one, row, verdict))
            self.trying = None

    def _try(self, row: Any, sources: Any) -> ClipResult:
        try:
            return self._classify([(row, cast("BinaryIO", sources(row)))])[0]
        except MemoryError:
            limit_bytes = self.services.settings.task_memory_bytes
            return ClipResult.failed(PATH, TakesTooMuchMemory(path=PATH, limit_bytes=limit_bytes))

    def _commit_one(self, row: Any, verdict: ClipResult, connection: Connection) -> None:
        until = self.services.database.clock + self.services.settings.lease_s
        leases.fence(connection, self.lease, lease_until=until)
        self._insert(connection, [(row, verdict)])
        self._count(connection)

    def _count_try(self, clip_id: int) -> int:
        values = {"unit_id": self.lease.id, "clip_id": clip_id, "tries": 1}
        statement = self.services.database.insert(clip_try).values(values)
        counted = statement.on_conflict_do_update(
            index_elements=["unit_id", "clip_id"], set_={"tries": clip_try.c.tries + 1}
        ).returning(clip_try.c.tries)
        # Not tried again: a commit whose answer was lost would count twice.
        with self.services.database.write() as connection:
            until = self.services.database.clock + self.services.settings.lease_s
            leases.fence(connection, self.lease, lease_until=until)
            return int(connection.execute(counted).scalar_one())

    def _complete(self) -> str:
        counts = self.services.database.write_again(self._commit)
        by_outcome = (f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
        return f"{counts.total()} clips: " + ", ".join(by_outcome) if counts else "no clips of its own"

    def _commit(self, connection: Connection) -> Counter[str]:
        """One transaction: the fence, the predictions, and the counts from the prediction table."""
        leases.fence(connection, self.lease, state=WorkState.DONE, lease_until=None)
        self._insert(connection, self.verdicts)
        return self._count(connection)

    def _count(self, connection: Connection) -> Counter[str]:
        """Write on the unit's row what stands of it: whoever asks how far a job is reads only that."""
        statement = select(prediction.c.outcome, func.count()).group_by(prediction.c.outcome)
        rows = connection.execute(statement.where(prediction.c.unit_id == self.lease.id)).all()
        counts: Counter[str] = Counter(dict(rows))
        values = {outcome: counts[outcome] for outcome in Outcome}
        connection.execute(update(unit).where(unit.c.id == self.lease.id).values(values))
        return counts

    def _insert(self, connection: Connection, verdicts: list[tuple[Any, ClipResult]]) -> None:
        rows = [
            {
                "clip_id": row.id,
                "job_id": self.lease.job_id,
                "upload_id": row.upload_id,
                "member": row.member,
                "model_version": self.row.model_version,
                "unit_id": self.lease.id,
                "outcome": verdict.outcome,
                "emotion": verdict.emotion,
                "confidence": verdict.confidence,
                "threshold": verdict.threshold,
                "duration_s": verdict.duration_s,
                "error_code": verdict.error_code,
                "error": verdict.error,
                "probabilities": verdict.probabilities,
                **measured(verdict),
            }
            for row, verdict in verdicts
        ]
        if rows:
            connection.execute(self.services.database.insert(prediction).on_conflict_do_nothing(), rows)
        segments = self._segments(verdicts)
        statement = self.services.database.insert(segment).on_conflict_do_nothing()
        while some := list(islice(segments, INSERTED_SEGMENTS)):
            connection.execute(statement, some)

    def _segments(self, verdicts: list[tuple[Any, ClipResult]]) -> Iterator[dict[str, Any]]:
        """Their rows, made as they are taken: of a unit there may be many."""
        for row, verdict in verdicts:
            for number, one in enumerate(verdict.segments):
                yield {
                    "clip_id": row.id,
                    "model_version": self.row.model_version,
                    "number": number,
                    "channel": int(one.channel or 0),
                    "start_s": one.start_s,
                    "end_s": one.end_s,
                    "outcome": one.outcome,
                    "emotion": one.emotion,
                    "confidence": one.confidence,
                    "probabilities": one.probabilities,
                }


def measured(verdict: ClipResult) -> dict[str, float | str | None]:
    """The columns of a recording's quality; all None where none was measured."""
    of = verdict.quality
    return {
        "quality": None if of is None else " ".join(of.flags),
        "bandwidth_hz": None if of is None else of.bandwidth_hz,
        "snr_db": None if of is None else of.snr_db,
        "voiced_s": None if of is None else of.voiced_s,
    }
