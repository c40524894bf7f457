"""Rows for tests: a running job with an upload, a shard and a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select, update

from shared.database.sessions import Database
from shared.database.tables import clip, job, prediction, shard, unit, upload

# The seed's version, and what it tells apart.
VERSION = "seed-v6"
LABELS = ("angry", "calm", "disgust", "fearful", "happy", "neutral")


@dataclass(frozen=True)
class Made:
    """Ids of the rows that `make_job` made."""

    job: int
    upload: int
    shard: int
    unit: int
    clips: list[int]


def make_job(
    database: Database, clips: int = 3, upload_state: str = "done", unit_state: str = "pending", **values: Any
) -> Made:
    """A running job: one upload, one shard of some clips, one unit."""
    with database.write() as connection:

        def add(table: Any, **row: Any) -> int:
            return int(connection.execute(insert(table).values(row).returning(table.c.id)).scalar_one())

        row = {"key": uuid4().hex, "state": "running", "model_version": VERSION,
               "created_at": database.clock, "started_at": database.clock} | values  # fmt: skip
        job_id = add(job, **row)
        upload_id = add(upload, job_id=job_id, name="a.zip", object_key=uuid4().hex, state=upload_state)
        shard_id = add(shard, job_id=job_id, upload_id=upload_id, number=1, object_key=uuid4().hex, bytes=9,
                       clips=clips)  # fmt: skip
        unit_id = add(unit, job_id=job_id, shard_id=shard_id, model_version=VERSION, state=unit_state)
        ids = [
            add(clip, job_id=job_id, upload_id=upload_id, member=member, path=f"{member}.wav",
                sha256=f"{member:064d}", shard_id=shard_id, offset=512, size=1)
            for member in range(clips)
        ]  # fmt: skip
    return Made(job_id, upload_id, shard_id, unit_id, ids)


def add_prediction(
    database: Database, clip_id: int, unit_id: int, outcome: str, model_version: str = "v", **values: Any
) -> None:
    """What Complete writes for one clip."""
    place = row_of(database, clip, clip_id)
    known = {"clip_id": clip_id, "model_version": model_version, "unit_id": unit_id, "outcome": outcome,
             "job_id": place.job_id, "upload_id": place.upload_id, "member": place.member}  # fmt: skip
    with database.write() as connection:
        connection.execute(insert(prediction).values(known | values))


def set_row(database: Database, table: Any, row_id: int, **values: Any) -> None:
    """Change a row behind the protocol's back."""
    with database.write() as connection:
        connection.execute(update(table).where(table.c.id == row_id).values(values))


def row_of(database: Database, table: Any, row_id: int) -> Any:
    """A row as it stands."""
    with database.read() as connection:
        return connection.execute(select(table).where(table.c.id == row_id)).one()


def wait_out_the_pause(database: Database, table: Any, row_id: int) -> None:
    """As if the time that a row rests after a failure outside had passed."""
    set_row(database, table, row_id, not_before=None)
