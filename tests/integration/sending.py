"""Uploads that lie in the store, what is made of them, and what is known of their clips."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select

from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.settings import Settings
from shared.database.tables import clip, job, prediction, unit, upload
from tests.archive_builders import zip_of
from tests.integration.builders import set_row
from workers.services import Services
from workers.unpack import unpack

RATE = 16_000


def send(services: Services, body: bytes, name: str = "in.zip", job_id: int | None = None) -> tuple[int, int]:
    """A running job with one upload that lies in the store."""
    with services.database.write() as connection:
        if job_id is None:
            values = {"key": uuid4().hex, "state": "running", "model_version": "v",
                      "created_at": services.database.clock}  # fmt: skip
            job_id = connection.execute(insert(job).values(values).returning(job.c.id)).scalar_one()
        key = f"jobs/{uuid4().hex}/uploads/{name}"
        values = {"job_id": job_id, "name": name, "object_key": key, "state": "pending", "bytes": len(body)}
        upload_id = connection.execute(insert(upload).values(values).returning(upload.c.id)).scalar_one()
    services.storage.put(key, body)
    return job_id, upload_id


def clips_of(services: Services, upload_id: int) -> list[Any]:
    with services.database.read() as connection:
        statement = select(clip).where(clip.c.upload_id == upload_id).order_by(clip.c.member)
        return list(connection.execute(statement))


def count(services: Services, table: Any) -> int:
    with services.database.read() as connection:
        return len(connection.execute(select(table.c.id)).all())


def sent(
    services: Services, names: list[str], extra: dict[str, bytes] | None = None
) -> tuple[int, list[int]]:
    """A job of these voices, unpacked; its upload and its units."""
    members = {
        name: wav_bytes(speech_like("happy", RATE, 0.6, seed=seed), RATE) for seed, name in enumerate(names)
    }
    job_id, upload_id = send(services, zip_of(members | (extra or {})))
    set_row(services.database, job, job_id, model_version=Settings().champion)
    unpack(services, upload_id)
    with services.database.read() as connection:
        units = connection.execute(select(unit.c.id).where(unit.c.job_id == job_id).order_by(unit.c.id))
        return upload_id, list(units.scalars())


def outcomes(services: Services, upload_id: int) -> dict[str, tuple[str, str | None]]:
    """Outcome and error code of each clip that has one."""
    paths = {row.id: row.path for row in clips_of(services, upload_id)}
    with services.database.read() as connection:
        rows = connection.execute(select(prediction)).all()
    return {paths[row.clip_id]: (row.outcome, row.error_code) for row in rows if row.clip_id in paths}


def as_dict(row: Any) -> dict[str, Any]:
    """A row by its columns, its probabilities as they were written."""
    return row._asdict() | {"probabilities": row.probabilities and json.loads(row.probabilities)}
