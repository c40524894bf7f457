"""Classify: the clips of one shard become predictions under one model version, by the lease protocol."""

from __future__ import annotations

import io
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

from shared.core import logs
from shared.core.errors.recordings import CrashesDecoder, LostInStore, TakesTooMuchMemory
from shared.core.states import Outcome, WorkState
from shared.database import predictions, work
from shared.database.clips import ClipToClassify, clips_to_classify
from shared.database.predictions import NewPrediction, NewSegment, UnitToClassify
from shared.database.sessions import Connection
from shared.database.tables import unit
from shared.database.work import Lease
from shared.jobs import leases
from shared.jobs.doorbell import CLASSIFY, queue_of
from shared.models.serving import registry, version_pins
from shared.models.serving.classifier import Classifier
from shared.models.serving.clip_results import ClipResult
from shared.store.names import StoredObject
from workers import ending
from workers.renewal import Renewal
from workers.services import Services
from workers.work import LeasedWork, Yielding, look

log = logging.getLogger(__name__)

# A shard of 256 clips takes a child 8 s by v8, and a worker has taken the next bell before it is free: a clip
# sent beside a large job waited 15 s for two of them. Each time costs a GET and a commit.
YIELDS_AFTER_S = 1.0
# A lease that runs out is no evidence against a clip, but ten of them are.
ATTEMPTS_IN_BATCHES = 10
MOST_TRIES = 3
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
    row, clips = look(services.database, lease, lambda connection: _left(connection, unit_id))
    logs.note(job=lease.job_id, shard=row.shard_id)
    return Classifying(services, lease, row, clips).perform()


def _left(connection: Connection, unit_id: int) -> tuple[UnitToClassify, list[ClipToClassify]]:
    row = predictions.unit_to_classify(connection, unit_id)
    return row, clips_to_classify(connection, row.shard_id, row.model_version)


class Classifying(LeasedWork):
    """One leased unit on its way to predictions."""

    after_crash = "it goes on clip by clip"

    def __init__(
        self, services: Services, lease: Lease, row: UnitToClassify, clips: Sequence[ClipToClassify]
    ) -> None:
        """clips: those of the unit that have no prediction yet."""
        self.services = services
        self.lease = lease
        self.row = row
        self.clips = clips
        self.results: list[tuple[ClipToClassify, ClipResult]] = []
        self.trying: int | None = None  # the clip whose try is counted and has not ended
        self._asks_from = time.monotonic() + YIELDS_AFTER_S
        lease_s = services.settings.lease_s
        self._renewed = Renewal(lambda: leases.renew(services.database, lease, lease_s), lease_s)

    def run(self) -> str:
        """All clips that have no prediction yet, then the unit's end."""
        models, version = self.services.settings.model_folders, self.row.model_version
        version_pins.confirm(self.services.database, registry.read_manifest(models, version))
        network = classifier(models, version)
        if self.lease.crashes or self.lease.attempts - self.lease.returns > ATTEMPTS_IN_BATCHES:
            self._one_by_one(network)
            return self.complete()
        size = network.batch_size(self.services.settings.batch_clips)
        source_of = self.sources()
        for start in range(0, len(self.clips), size):
            batch = self.clips[start : start + size]
            found = self.classify(network, [(one, source_of(one)) for one in batch])
            self.results.extend(zip(batch, found, strict=True))
            if start + size < len(self.clips):
                self._renewed()
                self._let_small_jobs_go_first()
        return self.complete()

    def _let_small_jobs_go_first(self) -> None:
        """Raise Yielding where a small job's bell waits; a batch is done each time, so the unit ends too."""
        if self.row.small or time.monotonic() < self._asks_from:
            return
        try:
            waiting = self.services.doorbell.waiting(queue_of(CLASSIFY, small=True))
        except Exception:
            log.warning("the queue does not say whether a small job waits", exc_info=True)
            self._asks_from = math.inf  # it took 6 s to learn that
            return
        if waiting:
            raise Yielding

    def give_back(self, *, keep: bool = False, pause: bool = False, crashed: bool = False) -> None:
        """As any leased work; what is kept are predictions, which the next holder need not make again."""
        kept = self._keep if keep else _nothing
        leases.give_back(self.services.database, self.lease, pause=pause, crashed=crashed, kept=kept)

    def is_hopeless(self, error: Exception) -> bool:
        """Only where the shard is lost: of a unit that crashed, the next attempt goes clip by clip."""
        return leases.is_lost(error, self.lease)

    def give_up(self, error: Exception) -> str:
        """End the unit: what is left of it can never be read."""
        lost = ClipResult.failed(PATH, LostInStore(path=PATH))
        self.results = [(one, lost) for one in self.clips]
        return self.complete()

    def finish(self) -> None:
        """The last unit of a job ends it."""
        leases.close_job(self.services.database, self.lease.job_id)

    def sources(self) -> Callable[[ClipToClassify], BinaryIO]:
        """How a clip's bytes are had: from one GET of the shard, or, of a large one, by ranges."""
        storage, stored = self.services.storage, StoredObject(self.row.object_key)
        if self.row.shard_bytes <= 2 * self.services.settings.shard_bytes:
            body = memoryview(storage.get(stored)) if self.clips else memoryview(b"")
            return lambda one: io.BytesIO(body[one.offset : one.offset + one.size])
        return lambda one: storage.open(stored, one.offset, one.size, lambda _count: self._renewed())

    def classify(
        self, network: Classifier, clips: Sequence[tuple[ClipToClassify, BinaryIO]]
    ) -> list[ClipResult]:
        """What becomes of these clips, with their bytes, by the job's threshold and windows."""
        return network.classify(
            [(PATH, source) for _, source in clips],
            threshold=self.row.threshold,
            batch_clips=self.services.settings.batch_clips,
            windows=self.row.windows,
            between=self._renewed,
        )

    def complete(self) -> str:
        """One transaction: the fence, the predictions, and the counts from the prediction table."""
        counts = self.services.database.write_again(self._commit)
        by_outcome = (f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
        return f"{counts.total()} clips: " + ", ".join(by_outcome) if counts else "no clips of its own"

    def _commit(self, connection: Connection) -> Counter[str]:
        work.fence(connection, self.lease, state=WorkState.DONE, lease_until=None)
        return self._insert(connection, self.results)

    def _keep(self, connection: Connection) -> None:
        self._insert(connection, self.results)
        if self.trying is not None:
            predictions.take_try_back(connection, self.lease.id, self.trying)

    def _one_by_one(self, network: Classifier) -> None:
        """For a unit that cost a child its life: each try counted before it, each outcome alone."""
        source_of = self.sources()
        for one in self.clips:
            ending.check()
            tries = self._count_try(one)
            self.trying = one.id
            if tries > MOST_TRIES:
                result = ClipResult.failed(PATH, CrashesDecoder(path=PATH, tries=MOST_TRIES))
            else:
                result = self._try(network, one, source_of(one))
            self.services.database.write_again(partial(self._commit_one, one, result))
            self.trying = None

    def _try(self, network: Classifier, one: ClipToClassify, source: BinaryIO) -> ClipResult:
        try:
            return self.classify(network, [(one, source)])[0]
        except MemoryError:
            limit_bytes = self.services.settings.task_memory_bytes
            return ClipResult.failed(PATH, TakesTooMuchMemory(path=PATH, limit_bytes=limit_bytes))

    def _commit_one(self, one: ClipToClassify, result: ClipResult, connection: Connection) -> None:
        self._fence_and_renew(connection)
        self._insert(connection, [(one, result)])

    def _count_try(self, one: ClipToClassify) -> int:
        # Not tried again: a commit whose answer was lost would count twice.
        with self.services.database.write() as connection:
            self._fence_and_renew(connection)
            return predictions.count_try(connection, self.services.database, self.lease.id, one.id)

    def _fence_and_renew(self, connection: Connection) -> None:
        until = self.services.database.clock + self.services.settings.lease_s
        work.fence(connection, self.lease, lease_until=until)

    def _insert(
        self, connection: Connection, results: Sequence[tuple[ClipToClassify, ClipResult]]
    ) -> Counter[str]:
        """Predictions and segments; returns how many of each outcome the unit has then."""
        database, version = self.services.database, self.row.model_version
        rows = [prediction_of(one, result) for one, result in results]
        predictions.insert_predictions(connection, database, self.lease.id, self.lease.job_id, version, rows)
        predictions.insert_segments(connection, database, version, segments_of(results))
        return predictions.count_outcomes(connection, self.lease.id)


def _nothing(_: Connection) -> None:
    """Nothing is kept."""


def prediction_of(one: ClipToClassify, result: ClipResult) -> NewPrediction:
    """The row of a clip's result; its quality is None where none was measured."""
    quality = result.quality
    return NewPrediction(
        clip_id=one.id,
        upload_id=one.upload_id,
        member=one.member,
        outcome=result.outcome,
        emotion=result.emotion,
        confidence=result.confidence,
        threshold=result.threshold,
        duration_s=result.duration_s,
        error_code=result.error_code,
        error=result.error,
        probabilities=result.probabilities,
        quality=None if quality is None else " ".join(quality.flags),
        bandwidth_hz=None if quality is None else quality.bandwidth_hz,
        snr_db=None if quality is None else quality.snr_db,
        voiced_s=None if quality is None else quality.voiced_s,
    )


def segments_of(results: Sequence[tuple[ClipToClassify, ClipResult]]) -> Iterator[NewSegment]:
    """Their rows, made as they are taken: of a unit there may be many."""
    for one, result in results:
        for number, segment in enumerate(result.segments):
            yield NewSegment(
                clip_id=one.id,
                number=number,
                channel=int(segment.channel or 0),
                start_s=segment.start_s,
                end_s=segment.end_s,
                outcome=segment.outcome,
                emotion=segment.emotion,
                confidence=segment.confidence,
                probabilities=segment.probabilities,
            )
