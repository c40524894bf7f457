"""A job of many clips with results of every kind, and its rows by pages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from sqlalchemy import insert, text

from shared.database.filters import Filters
from shared.database.keyset_scans import Cursor
from shared.database.results import RESULTS
from shared.database.sessions import Database
from shared.database.tables import clip, job, prediction, shard, unit, upload
from tests.integration.builders import LABELS, VERSION
from tests.integration.sending import as_dict

QUALITIES = "good", "narrow_band", "narrow_band noisy", "noisy little_voice"
LARGE = 200_000


def answers(clips: int) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Clip and prediction rows of a job in four uploads: copies, unpack's failures, clips still waiting."""
    per_upload = clips // 4
    originals: list[int] = []
    for n in range(clips):
        place = {"job_id": 1, "upload_id": 1 + n // per_upload, "member": n % per_upload}
        row = place | {"id": clips - n, "path": f"tapes/{n * 20 // clips:02d}/clip {n}.wav", "sha256": None,
                       "duplicate_of": None, "error_code": None, "error": None}  # fmt: skip
        if n % 31 == 30:
            yield row | {"duplicate_of": originals[n // 62]}, None
        elif n % 53 == 52:
            yield row | {"error_code": "encrypted", "error": f"{row['path']} is encrypted."}, None
        elif n % 47 == 46:
            yield row, None  # no outcome yet
        else:
            originals.append(row["id"])
            yield row, prediction_values(n, clips) | place | {"clip_id": row["id"], "unit_id": 1}


def prediction_values(n: int, clips: int) -> dict[str, Any]:
    """What is predicted of the n-th of so many clips."""
    row = {"model_version": VERSION, "outcome": "classified", "emotion": LABELS[n * 7 % 5], "threshold": 0.5,
           "confidence": n * 37 % 1000 / 1000, "duration_s": 3.0, "error_code": None, "error": None,
           "probabilities": dict.fromkeys(LABELS, 1 / 6), "quality": QUALITIES[n % 4]}  # fmt: skip
    if n % (clips // 3) == 1:
        return row | {"emotion": "neutral"}  # the rarest
    if n % 7 == 3:
        return row | {"outcome": "rejected", "emotion": None}
    if n % 97 == 5:
        nothing = dict.fromkeys(("emotion", "confidence", "threshold", "probabilities", "quality"))
        return row | nothing | {"outcome": "failed", "error_code": "not_audio", "error": "{path} is text."}
    return row


def fill(database: Database, clips: int) -> None:
    """Write the job of `answers`."""
    with database.write() as connection:
        values = {"state": "done", "model_version": VERSION}
        connection.execute(insert(job).values(values | {"id": 1, "key": "k", "created_at": 0}))
        for n in range(1, 5):
            values = {"id": n, "job_id": 1, "name": f"{n}.zip", "object_key": "o", "state": "done"}
            connection.execute(insert(upload).values(values))
        values = {
            "id": 1,
            "job_id": 1,
            "upload_id": 1,
            "number": 1,
            "object_key": "s",
            "bytes": 1,
            "clips": 1,
        }
        connection.execute(insert(shard).values(values))
        values = {"id": 1, "job_id": 1, "shard_id": 1, "model_version": VERSION, "state": "done"}
        connection.execute(insert(unit).values(values))
        rows = answers(clips)
        while batch := list(itertools.islice(rows, 5000)):
            connection.execute(insert(clip), [row for row, _ in batch])
            connection.execute(insert(prediction), [found for _, found in batch if found is not None])
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def pages(database: Database, filters: Filters, limit: int, version: str = VERSION) -> list[Any]:
    """All rows by pages of a size."""
    found: list[Any] = []
    after: Cursor | None = None
    while True:
        with database.read() as connection:
            rows = RESULTS.page(connection, 1, version, after, limit, filters or Filters())
        found += [as_dict(row) for row in rows]
        if len(rows) < limit:
            return found
        after = RESULTS.cursor_of(rows[-1])
