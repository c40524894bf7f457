"""Classify: the clips of one shard become predictions under one model version, by the lease protocol."""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection, exists, func, select, update

from shared import leases
from shared.database.tables import OUTCOMES, clip, clip_try, job, prediction, shard, unit
from shared.emotion.classifier import Classifier, Verdict
from shared.errors.recordings import CrashesDecoder
from shared.leases import Lease, LeaseLost
from workers.parts import Parts

log = logging.getLogger(__name__)

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


def classify(parts: Parts, unit_id: int) -> str:
    """Do what is left of a unit; returns a sentence for Flower."""
    lease = leases.take(parts.database, unit, unit_id, parts.settings.lease_s)
    if lease is None:
        return "nothing to do"
    try:
        text = Classifying(parts, lease).run()
    except LeaseLost:
        return "lease lost; another worker has it"
    except Exception:
        # Whatever it was, the next attempt goes clip by clip and finds the one that does it.
        leases.record_crash(parts.database, unit_id)
        leases.give_back(parts.database, lease)
        raise
    leases.close_job(parts.database, lease.job_id)
    return text


class Classifying:
    """One leased unit on its way to predictions."""

    def __init__(self, parts: Parts, lease: Lease) -> None:
        self.parts = parts
        self.lease = lease
        with parts.database.read() as connection:
            statement = (
                select(unit.c.model_version, unit.c.crashes, unit.c.shard_id, shard.c.object_key,
                       shard.c.bytes, job.c.threshold)
                .join(shard, shard.c.id == unit.c.shard_id)
                .join(job, job.c.id == unit.c.job_id)
                .where(unit.c.id == lease.id)
            )  # fmt: skip
            self.row = connection.execute(statement).one()
            self.clips = self._clips_left(connection)
        self.classifier = classifier(parts.settings.model_folders, self.row.model_version)

    def run(self) -> str:
        """All clips that have no prediction yet, then the unit's end."""
        if self.row.crashes or self.lease.attempts > ATTEMPTS_IN_BATCHES:
            self._one_by_one()
            return self._complete([])
        verdicts: list[tuple[Any, Verdict]] = []
        size = self.parts.settings.batch_clips
        sources = self._sources()
        for start in range(0, len(self.clips), size):
            batch = self.clips[start : start + size]
            found = self._classify([(row, sources(row)) for row in batch])
            verdicts.extend(zip(batch, found, strict=True))
            if start + size < len(self.clips):
                leases.renew(self.parts.database, self.lease, self.parts.settings.lease_s)
        return self._complete(verdicts)

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
        storage = self.parts.storage
        if self.row.bytes <= 2 * self.parts.settings.shard_bytes:
            body = memoryview(storage.get(self.row.object_key)) if self.clips else memoryview(b"")
            return lambda row: io.BytesIO(body[row.offset : row.offset + row.size])

        def renew(_count: int) -> None:
            leases.renew(self.parts.database, self.lease, self.parts.settings.lease_s)

        return lambda row: storage.open(self.row.object_key, row.offset, row.size, renew)

    def _classify(self, clips: Sequence[tuple[Any, BinaryIO]]) -> list[Verdict]:
        sources = [(PATH, source) for _, source in clips]
        batch_clips = self.parts.settings.batch_clips
        return self.classifier.classify(sources, threshold=self.row.threshold, batch_clips=batch_clips)

    def _one_by_one(self) -> None:
        """For a unit that cost a child its life: each try counted before it, each outcome alone."""
        sources = self._sources()
        for row in self.clips:
            tries = self._count_try(row.id)
            if tries > MOST_TRIES:
                error = CrashesDecoder(path=PATH, tries=MOST_TRIES)
                verdict = Verdict.failed(PATH, error)
            else:
                verdict = self._classify([(row, cast("BinaryIO", sources(row)))])[0]
            with self.parts.database.write() as connection:
                until = self.parts.database.clock + self.parts.settings.lease_s
                leases.fence(connection, self.lease, lease_until=until)
                self._insert(connection, [(row, verdict)])

    def _count_try(self, clip_id: int) -> int:
        values = {"unit_id": self.lease.id, "clip_id": clip_id, "tries": 1}
        statement = self.parts.database.insert(clip_try).values(values)
        counted = statement.on_conflict_do_update(
            index_elements=["unit_id", "clip_id"], set_={"tries": clip_try.c.tries + 1}
        ).returning(clip_try.c.tries)
        with self.parts.database.write() as connection:
            until = self.parts.database.clock + self.parts.settings.lease_s
            leases.fence(connection, self.lease, lease_until=until)
            return int(connection.execute(counted).scalar_one())

    def _complete(self, verdicts: list[tuple[Any, Verdict]]) -> str:
        """One transaction: the fence, the predictions, and the counts from the prediction table."""
        with self.parts.database.write() as connection:
            leases.fence(connection, self.lease, state="done", lease_until=None)
            self._insert(connection, verdicts)
            counts: Counter[str] = Counter(
                dict(
                    connection.execute(
                        select(prediction.c.outcome, func.count())
                        .where(prediction.c.unit_id == self.lease.id)
                        .group_by(prediction.c.outcome)
                    ).all()
                )
            )
            values = {outcome: counts[outcome] for outcome in OUTCOMES}
            connection.execute(update(unit).where(unit.c.id == self.lease.id).values(values))
        parts = (f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
        return f"{counts.total()} clips: " + ", ".join(parts) if counts else "no clips of its own"

    def _insert(self, connection: Connection, verdicts: list[tuple[Any, Verdict]]) -> None:
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
            }
            for row, verdict in verdicts
        ]
        if rows:
            connection.execute(self.parts.database.insert(prediction).on_conflict_do_nothing(), rows)
