"""The one invariant of the fault ring: whatever broke, every clip has exactly one outcome.

A manifest says what was put into a job's uploads: the paths by upload name, in archive order. The
invariant holds when the API, the view `results` and the tables agree with it and with each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, exists, func, select, text

from shared.core.states import Outcome
from shared.database.sessions import Database
from shared.database.tables import clip, job, prediction, shard, unit, upload
from tests.acceptance.jobs import Api

Manifest = Mapping[str, Sequence[str]]


def every_clip_has_one_outcome(
    api: Api, database_url: str, job_id: int, manifest: Manifest, limit_s: float = 120
) -> list[dict[str, Any]]:
    """Wait for the job's end, hold it against its manifest; returns the API's rows.

    Raises AssertionError with what is lost, doubled or miscounted. `limit_s`: seconds until it must end.
    """
    document = api.wait(job_id, limit_s)
    assert document["state"] == "done", document
    wanted = [(name, path) for name, paths in manifest.items() for path in paths]
    rows = api.rows(job_id)
    found = [(row["upload"], row["path"]) for row in rows]
    _same(found, wanted, "the API's rows")
    assert found == wanted, "the API's rows are not in archive order"
    database = Database(database_url)
    try:
        with database.read() as connection:
            seen = connection.execute(
                text(
                    "SELECT upload, path FROM results WHERE job = :job AND model_version = job_model_version"
                ),
                {"job": job_id},
            )
            _same([(row.upload, row.path) for row in seen], wanted, "the view's rows")
            _tables_agree(connection, job_id)
            duplicates = _count(connection, clip, clip.c.job_id == job_id, clip.c.duplicate_of.is_not(None))
    finally:
        database.close()
    _counts_agree(document, rows, len(wanted), duplicates)
    return rows


def _same(found: list[tuple[str, str]], wanted: list[tuple[str, str]], where: str) -> None:
    seen, known = Counter(found), Counter(wanted)
    lost, doubled = list((known - seen).elements()), list((seen - known).elements())
    assert not lost, f"{where}: {len(lost)} clips lost, as {lost[:5]}"
    assert not doubled, f"{where}: {len(doubled)} rows too many, as {doubled[:5]}"


def _count(connection: Connection, table: Any, *conditions: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())


def _tables_agree(connection: Connection, job_id: int) -> None:
    """Nothing is left to do, nothing stands without what it belongs to, and what is counted is there."""
    of_unit = prediction.c.unit_id == unit.c.id
    units = connection.execute(
        select(unit, select(func.count()).where(of_unit).scalar_subquery().label("predictions")).where(
            unit.c.job_id == job_id
        )
    ).all()
    undone = [row.id for row in units if row.state != "done"]
    assert not undone, f"units of a job that is done, and not done: {undone}"
    assert {row.state for row in connection.execute(select(upload).where(upload.c.job_id == job_id))} <= {
        "done", "failed",
    }  # fmt: skip
    miscounted = [row for row in units if sum(getattr(row, name) for name in Outcome) != row.predictions]
    assert not miscounted, f"units whose counts are not those of their predictions: {miscounted}"
    orphans = prediction.c.job_id == job_id, ~exists().where(clip.c.id == prediction.c.clip_id)
    assert _count(connection, prediction, *orphans) == 0, "predictions without a clip"
    shards = _count(connection, shard, shard.c.job_id == job_id)
    versions = select(func.count(unit.c.model_version.distinct())).where(unit.c.job_id == job_id)
    assert len(units) == shards * (connection.execute(versions).scalar_one() or 1), "a shard without its unit"
    placed = clip.c.job_id == job_id, clip.c.shard_id.is_not(None)
    held = select(func.coalesce(func.sum(shard.c.clips), 0)).where(shard.c.job_id == job_id)
    assert connection.execute(held).scalar_one() == _count(connection, clip, *placed), "clips of shards"
    ended = connection.execute(select(job.c.ended_at).where(job.c.id == job_id)).scalar_one()
    assert ended is not None


def _counts_agree(document: dict[str, Any], rows: list[dict[str, Any]], clips: int, duplicates: int) -> None:
    """The job's counts: its clips are those of the manifest, and the outcomes those of the rows."""
    counts = document["counts"]
    assert counts["clips"] == counts["done"] == clips, counts
    assert counts["duplicates"] == duplicates, counts
    outcomes = Counter(row["outcome"] for row in rows)
    assert {outcome: counts[outcome] for outcome in Outcome} == {one: outcomes[one] for one in Outcome}
    assert sum(one["clips"] for one in document["uploads"]) == clips, document["uploads"]
