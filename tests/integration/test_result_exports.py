"""Exports of results: every row as the pages have it, in bounded memory, on both databases."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert

from api.exports import FORMATS, ROW_GROUP_ROWS
from shared.core.settings import Settings
from shared.database.filters import Filters
from shared.database.results import RESULT_COLUMNS, RESULTS
from shared.database.sessions import Database
from shared.database.tables import prediction, unit
from shared.models.serving import registry
from shared.models.serving.manifest import Manifest
from tests.integration.builders import VERSION
from tests.integration.filled_results import LARGE, answers, fill, pages, prediction_values


def exported(database: Database, format: str, page: int = 1000) -> Iterator[Any]:
    """The blocks of an export."""
    manifest = registry.read_manifest(Settings().model_folders, VERSION)
    return FORMATS[format][0](RESULTS.pages(database, 1, VERSION, most=page), manifest)


@pytest.mark.parametrize("page", [7, 799, 4096])
def test_an_export_has_every_row_as_the_pages_have_it(filled: Database, page: int) -> None:
    second = {"job_id": 1, "shard_id": 1, "model_version": "v2", "state": "done", "id": 2}
    originals = [row for row, found in answers(800) if found]
    with filled.write() as connection:
        connection.execute(insert(unit).values(second))
        # Another version, with labels of its own, that has not come far: also `no_voice`, and other errors.
        for n, row in enumerate(originals[:300]):
            place = {name: row[name] for name in ("job_id", "upload_id", "member")}
            found = (
                prediction_values(n, 800)
                | place
                | {"clip_id": row["id"], "unit_id": 2, "model_version": "v2"}
            )
            if n % 5 == 2:
                found |= {"outcome": "no_voice", "emotion": None, "confidence": None, "probabilities": None}
            elif found["probabilities"]:
                found["probabilities"] = {"happy": n / 300, "bored": 1 - n / 300}
            connection.execute(insert(prediction).values(found))
    known = registry.read_manifest(Settings().model_folders, VERSION)
    labels = {VERSION: known.labels, "v2": ["bored", "happy", "unheard of"]}
    for version, of_version in labels.items():
        rows = pages(filled, Filters(), 60, version)
        outcomes = {"classified", "rejected", "failed"} | ({"no_voice"} if version == "v2" else set())
        assert {row["outcome"] for row in rows} == outcomes
        assert any(row["error"] == f"{row['path']} is text." for row in rows)
        expected = [
            {name: row[name] for name in RESULT_COLUMNS}
            | {f"p_{label}": (row["probabilities"] or {}).get(label) for label in of_version}
            for row in rows
        ]
        manifest = known.model_copy(update={"version": version, "labels": of_version})

        def content(format: str, filters: Filters | None = None, manifest: Manifest = manifest) -> bytes:
            every = RESULTS.pages(filled, 1, manifest.version, filters, page)
            blocks = FORMATS[format][0](every, manifest, RESULT_COLUMNS)
            return b"".join(block.encode() if isinstance(block, str) else block for block in blocks)

        assert pq.read_table(io.BytesIO(content("parquet"))).to_pylist() == expected
        lines = [json.loads(line) for line in content("jsonl").splitlines()]
        assert [{name: line[name] for name in expected[0]} for line in lines] == expected
        cells = csv.DictReader(io.StringIO(content("csv").decode(), newline=""))
        as_text = [
            {name: "" if cell is None else str(cell) for name, cell in row.items()} for row in expected
        ]
        assert list(cells) == as_text
        # The other way of reading, that of filters: here one that every row fulfils.
        for format in FORMATS:
            assert content(format, Filters(path_prefix="t")) == content(format)


def test_an_export_that_is_broken_off_gives_its_connection_back(filled: Database) -> None:
    stream = exported(filled, "csv", page=10)
    next(stream)
    stream.close()
    assert filled.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert not [one for one in threading.enumerate() if one.name.startswith("next page")]


@pytest.mark.long
@pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_an_export(database: Database, format: str) -> None:
    fill(database, LARGE)
    process = psutil.Process()
    resident = [process.memory_info().rss for _ in exported(database, format)]
    half = len(resident) // 2
    assert max(resident[half:]) < max(resident[:half]) + 16 * 2**20


def test_a_parquet_file_comes_in_bounded_row_groups(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.exports.ROW_GROUP_ROWS", 300)
    blocks = list(exported(filled, "parquet", page=100))
    assert len(blocks) >= 3
    file = pq.ParquetFile(io.BytesIO(b"".join(blocks)))
    rows = pages(filled, Filters(), 1000)
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert sum(groups) == len(rows)
    assert max(groups) <= 300
    assert ROW_GROUP_ROWS <= 64 * 1024
    assert file.read(["clip_id"])["clip_id"].to_pylist() == [row["clip_id"] for row in rows]
