"""A job's status document: what `GET /v1/jobs/{id}` answers, and what a webhook is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.core.states import COMPLETE, JobState, Outcome
from shared.database import tallies
from shared.database.jobs import JobRow
from shared.database.sessions import Connection, Database
from shared.database.tallies import Tally
from shared.database.uploads import UploadRow, uploads_of
from shared.database.webhooks import WebhookRow, webhooks_of
from shared.jobs import review
from voxmood.documents import Counts, JobDocument, Progress, UploadDocument, WebhookDocument


def documents(connection: Connection, database: Database, rows: Sequence[JobRow]) -> list[JobDocument]:
    """The documents of these jobs, with six queries whatever their number, one more for each version."""
    ids = [row.id for row in rows]
    uploads = _uploads(connection, ids)
    counted = _tallies(connection, uploads)
    webhooks = webhooks_of(connection, ids)
    accurate = review.accuracies(connection, {row.id: row.model_version for row in rows})
    now = database.now(connection)
    return [
        _document(row, uploads[row.id], counted[row.id], webhooks.get(row.id), now).model_copy(
            update={"accuracy": accurate.get(row.id)}
        )
        for row in rows
    ]


def upload_document(row: UploadRow, **counted: int) -> UploadDocument:
    """One upload, as its own row counts it but for what is `counted` otherwise."""
    return UploadDocument(**{name: getattr(row, name) for name in UploadDocument.model_fields} | counted)


def standing(connection: Connection, job_id: int) -> int:
    """Outcomes that stand in a job, under all versions: those are not of a run that begins now."""
    uploads = _uploads(connection, [job_id])
    tally = _tallies(connection, uploads)[job_id]
    unpacked = sum(one.failed for one in uploads[job_id])
    return sum(one.total() for one in tally.outcomes.values()) + unpacked + tally.others


def _uploads(connection: Connection, job_ids: Sequence[int]) -> dict[int, list[UploadRow]]:
    uploads: dict[int, list[UploadRow]] = {job_id: [] for job_id in job_ids}
    for row in uploads_of(connection, job_ids):
        uploads[row.job_id].append(row)
    return uploads


def _tallies(connection: Connection, uploads: dict[int, list[UploadRow]]) -> dict[int, Tally]:
    with_copies = [job_id for job_id, rows in uploads.items() if any(one.duplicates for one in rows)]
    return tallies.tallies(connection, uploads, with_copies)


def _document(
    row: JobRow, uploads: list[UploadRow], tally: Tally, webhook: WebhookRow | None, now: float
) -> JobDocument:
    outcomes: Counter[str] = Counter()
    shown = []
    for one in uploads:
        of_upload = tally.of(one.id) + Counter(failed=one.failed)
        outcomes += of_upload
        counted = {"failed": of_upload["failed"], "duplicates": tally.copies[one.id]}
        shown.append(upload_document(one, **counted))
    clips = sum(one.clips for one in uploads)
    done = outcomes.total()
    return JobDocument(
        id=row.id,
        name=row.name,
        state=row.state,
        model_version=row.model_version,
        threshold=row.threshold,
        windows=row.windows,
        win_s=row.win_s,
        hop_s=row.hop_s,
        channels=row.channels,
        encoding=row.encoding,
        created_at=_moment(row.created_at),
        started_at=None if row.started_at is None else _moment(row.started_at),
        ended_at=None if row.ended_at is None else _moment(row.ended_at),
        uploads=shown,
        counts=Counts(
            clips=clips,
            done=done,
            duplicates=tally.copies.total(),
            **{outcome: outcomes[outcome] for outcome in Outcome},
        ),
        progress=_progress(row, uploads, clips, done, tally, now),
        webhook=None if webhook is None else WebhookDocument.model_validate(webhook, from_attributes=True),
    )


def _progress(
    row: JobRow, uploads: list[UploadRow], clips: int, done: int, tally: Tally, now: float
) -> Progress:
    """What is still packed is estimated from the bytes: as many clips a byte as so far."""
    if row.started_at is None:
        return Progress(done=0, expected=None, fraction=0.0, clips_per_s=None, seconds_left=None)
    began = row.run_started_at or row.started_at
    of_run = max(done + tally.others - row.run_done, 0)
    rate = of_run / max((row.ended_at or now) - began, 1e-3)
    if row.state in COMPLETE:
        return Progress(done=of_run, expected=of_run, fraction=1.0, clips_per_s=rate, seconds_left=0.0)
    total = sum(one.bytes for one in uploads)
    read = sum(one.bytes_read for one in uploads)
    if not read:
        return Progress(done=of_run, expected=None, fraction=0.0, clips_per_s=rate or None, seconds_left=None)
    ahead = max(round(clips * total / read) - done, 0) + tally.others_ahead
    goes_on = rate and row.state == JobState.RUNNING
    return Progress(
        done=of_run,
        expected=of_run + ahead,
        fraction=of_run / (of_run + ahead) if of_run else 0.0,
        clips_per_s=rate or None,
        seconds_left=ahead / rate if goes_on else None,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
