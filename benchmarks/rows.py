"""What a large job costs to read: its status, pages of its results, their export.

`python -m benchmarks.rows`. The rows are made without a recording: what a finished job leaves in the
database. All requests go to the real API in this process, so a figure includes the queries and the writing of
the answer, but no network. PostgreSQL comes from its wheel, with its usual settings, but without fsync.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json as json_module
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from pyarrow.parquet import ParquetFile
from sqlalchemy import func, insert, select, text, update

from api.app import create_app
from benchmarks.clip import milliseconds
from benchmarks.command import run, say
from benchmarks.targets import DATABASES, ROWS, show
from shared.core.settings import Settings
from shared.core.states import Outcome
from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import clip, job, prediction, shard, unit, upload
from shared.models.data.datasets import RAVDESS_EMOTIONS
from shared.models.serving import registry
from shared.models.serving.manifest import MANIFEST
from tests.postgres import running_postgres

VERSION = "rows"
EMOTIONS = sorted(RAVDESS_EMOTIONS.values())
PAGE_ROWS = 1000  # the most that the API gives at once
SHARD_CLIPS = Settings.model_fields["shard_clips"].default
UPLOAD_CLIPS = 200 * SHARD_CLIPS
CHUNK_CLIPS = 20 * SHARD_CLIPS  # written in one transaction
THRESHOLD = 0.5

Row = dict[str, Any]
Ask = Callable[..., bytes]  # a path below the job's, and its parameters: the body of the answer


def path_of(number: int, rows: int) -> str:
    """A path like `tapes/1987/003/take 0012.wav`: forty years, each with folders of 100 takes."""
    year = 1950 + number * 40 // rows
    return f"tapes/{year}/{number // 100 % 1000:03d}/take {number % 100:04d}.wav"


def clip_rows(numbers: range, rows: int) -> Iterator[tuple[Row, Row | None]]:
    """Rows of clips, each with its prediction if it has one of its own.

    Of 100,000 clips 69,999 are classified, 29,000 rejected, 900 failed (half of them in unpack), 100 copies
    of the clip before, and one is `no_voice`.

    Args:
        numbers: of the clips, from 0.
        rows: clips of the whole job.
    """
    generator = np.random.default_rng(numbers.start)
    heights = generator.random(len(numbers)).tolist()
    answers = generator.integers(len(EMOTIONS), size=len(numbers)).tolist()
    others = generator.dirichlet(np.full(len(EMOTIONS) - 1, 0.5), len(numbers)).tolist()
    for number, height, answer, shares in zip(numbers, heights, answers, others, strict=True):
        # 48,271 and 100,000 have no common divisor: each kind is spread evenly over the archive.
        kind = number * 48_271 % 100_000
        is_copy = kind >= 99_900
        place = {"job_id": 1, "upload_id": number // UPLOAD_CLIPS + 1, "member": number % UPLOAD_CLIPS}
        row: Row = place | {"id": number + 1, "path": path_of(number, rows), "offset": 512, "size": 100_000,
                            "sha256": hashlib.sha256(b"%d" % (number - is_copy)).hexdigest(),
                            "duplicate_of": number if is_copy else None, "error_code": None, "error": None,
                            "shard_id": number // SHARD_CLIPS + 1}  # fmt: skip
        if 99_450 <= kind < 99_900:
            nowhere = dict.fromkeys(("sha256", "shard_id", "offset", "size"))
            row |= nowhere | {"error_code": "encrypted", "error": f"{row['path']} is encrypted."}
        if kind >= 99_450:
            yield row, None
            continue
        known = {"clip_id": row["id"], "model_version": VERSION, "unit_id": row["shard_id"]}
        found: Row = dict.fromkeys(prediction.c.keys()) | place | known
        if kind == 0:
            found |= {"outcome": "no_voice", "duration_s": 3.6}
        elif kind >= 99_000:
            found |= {"outcome": "failed", "error_code": "not_audio", "error": "{path} is not audio."}
        else:
            is_classified = kind < 70_000
            confidence = THRESHOLD + (1 - THRESHOLD) * height if is_classified else THRESHOLD * height
            probabilities = [share * (1 - confidence) for share in shares]
            probabilities.insert(answer, confidence)
            found |= {"threshold": THRESHOLD, "confidence": confidence, "duration_s": 3.6,
                      "outcome": "classified" if is_classified else "rejected",
                      "emotion": EMOTIONS[answer] if is_classified else None,
                      "probabilities": dict(zip(EMOTIONS, probabilities, strict=True))}  # fmt: skip
        yield row, found


def fill(database: Database, rows: int) -> None:
    """Write one finished job of so many clips, as unpack and classify would have written it."""
    ended = {"state": "done", "model_version": VERSION}
    a_job = ended | {"id": 1, "key": "k", "created_at": 0, "started_at": 0, "ended_at": rows / 350}
    archive: Row = {"job_id": 1, "state": "done", "object_key": "o", "bytes": 10**10, "bytes_read": 10**10}
    uploads = [archive | {"id": n + 1, "name": f"{n}.zip"} for n in range(-(-rows // UPLOAD_CLIPS))]
    shards: list[Row] = [
        {"id": n // SHARD_CLIPS + 1, "job_id": 1, "upload_id": n // UPLOAD_CLIPS + 1, "number": n,
         "object_key": f"s{n}", "bytes": 10**7, "clips": SHARD_CLIPS}
        for n in range(0, rows, SHARD_CLIPS)
    ]  # fmt: skip
    units = [ended | {"id": one["id"], "job_id": 1, "shard_id": one["id"]} for one in shards]
    with database.write() as connection:
        for table, made in ((job, [a_job]), (upload, uploads), (shard, shards), (unit, units)):
            connection.execute(insert(table), made)
    for first in range(0, rows, CHUNK_CLIPS):
        pairs = list(clip_rows(range(first, min(rows, first + CHUNK_CLIPS)), rows))
        with database.write() as connection:
            connection.execute(insert(clip), [row for row, _ in pairs])
            connection.execute(insert(prediction), [found for _, found in pairs if found is not None])
    counted = {"clips": clip.c.id, "failed": clip.c.error_code, "duplicates": clip.c.duplicate_of}
    in_unit = select(func.count()).where(prediction.c.unit_id == unit.c.id)
    with database.write() as connection:
        for name, column in counted.items():
            count = select(func.count(column)).where(clip.c.upload_id == upload.c.id)
            connection.execute(update(upload).values({name: count.scalar_subquery()}))
        for name in Outcome:
            count = in_unit.where(prediction.c.outcome == name)
            connection.execute(update(unit).values({name: count.scalar_subquery()}))


@contextmanager
def filled(name: str, folder: Path, rows: int) -> Iterator[str]:
    """The address of a database with the job in it, which is removed afterwards."""
    with ExitStack() as beside:
        of_server = name == "postgresql"
        url = beside.enter_context(running_postgres()) if of_server else f"sqlite:///{folder / 'voxmood.db'}"
        database = beside.enter_context(closing(Database(url)))
        upgrade.upgrade(database)
        fill(database, rows)
        if of_server:
            # Its autovacuum would do it within minutes. SQLite does it only on demand, and voxmood demands it
            # never.
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
        yield url


def write_manifest(models_dir: Path) -> None:
    """Write a version for all eight emotions: the API reads nothing of it but the manifest."""
    settings = Settings()
    champion = registry.read_manifest(settings.model_folders, settings.champion)
    known = {"version": VERSION, "labels": EMOTIONS, "unknown_labels": []}
    (folder := models_dir / VERSION).mkdir()
    (folder / MANIFEST).write_text(champion.model_copy(update=known).model_dump_json())


@contextmanager
def asking(url: str, models_dir: Path) -> Iterator[Ask]:
    """A function that sends requests about the job to the API, which has neither queue nor store here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # starlette would like another HTTP client
        from fastapi.testclient import TestClient

    def answer(path: str, **parameters: Any) -> bytes:
        return bytes(client.get(f"/v1/jobs/1{path}", params=parameters).raise_for_status().content)

    settings = Settings(database_url=url, models_dir=models_dir, api_host="127.0.0.1", require_key=False)
    app = create_app(settings)
    with closing(app.state.services.database), TestClient(app, "http://localhost") as client:
        yield answer


def measurements_of(answer: Ask, rows: int) -> dict[str, float]:
    """Measure the job that `fill` made."""

    def behind(number: int) -> Row:
        """The cursor behind a clip, as the API writes it."""
        place = f"{number // UPLOAD_CLIPS + 1}:{number % UPLOAD_CLIPS}"
        return {"cursor": base64.urlsafe_b64encode(place.encode()).decode()}

    pages: dict[str, Row] = {
        "at_the_beginning": {},
        "in_the_middle": behind(rows // 2),
        "at_the_end": behind(rows - PAGE_ROWS - 1),
        "of_a_rare_outcome": {"outcome": "no_voice"},
        "of_a_narrow_confidence": {"confidence": "0.8:0.8005"},  # 1 row in 1,400, anywhere
        "of_a_folder": {"path_prefix": f"{path_of(rows // 2, rows).rpartition('/')[0]}/"},
        "of_an_emotion_in_a_decade": {"emotion": "sad", "path_prefix": "tapes/197"},  # in the second half
    }
    measured = {"status_ms": milliseconds(lambda: answer(""), 1)}
    for name, filters in pages.items():
        page = partial(answer, "/results", limit=PAGE_ROWS, **filters)
        assert json_module.loads(page())["results"], f"no row is on the page {name}"
        measured[f"page_{name}_ms"] = milliseconds(page, 1)
    started = time.perf_counter()
    content = answer("/export", format="parquet")
    measured["export_rows_a_second"] = rows / (time.perf_counter() - started)
    assert ParquetFile(io.BytesIO(content)).metadata.num_rows == rows, "the export has not all rows"
    return measured


def measure(rows: int, databases: Sequence[str]) -> dict[str, dict[str, float]]:
    """Measure on each database.

    Args:
        rows: clips of the job.
        databases: `sqlite`, `postgresql`.

    Returns:
        Measurements by name for each database: medians of five, of the export one.
    """
    measured = {}
    for name in databases:
        say(f"{rows:,} rows on {DATABASES[name]}")
        with tempfile.TemporaryDirectory(prefix="voxmood-rows-") as temporary:
            write_manifest(folder := Path(temporary))
            with filled(name, folder, rows) as url, asking(url, folder) as answer:
                measured[name] = measurements_of(answer, rows)
    return measured


def joined(measured: dict[str, dict[str, float]]) -> dict[str, float]:
    """The measurements of benchmarks.targets.ROWS, where the slowest page counts, and those of each page."""
    found = {}
    for name, one in measured.items():
        pages = {key: value for key, value in one.items() if key.startswith("page_")}
        found[f"{name}_status_ms"] = one["status_ms"]
        found[f"{name}_page_ms"] = max(pages.values())
        found[f"{name}_export_rows_s"] = one["export_rows_a_second"]
        found |= {f"{name}_{key}": value for key, value in pages.items()}
    return found


def main(
    rows: Annotated[int, typer.Option(min=20_000, help="Clips of the job.")] = 1_000_000,
    database: Annotated[Literal["sqlite", "postgresql", "both"], typer.Option()] = "both",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure, and print a table."""
    measured = measure(rows, list(DATABASES) if database == "both" else [database])
    found = joined(measured)
    if json:
        print(json_module.dumps({"rows": rows, **found}))
        return
    show(found, ROWS, f"A job of {rows:,} clips")


if __name__ == "__main__":
    run(main)
