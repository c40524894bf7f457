"""Exports row by row: what a spreadsheet, a program and a data frame get to see."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from api.exports import FORMATS, result
from shared.core.settings import Settings
from shared.database.results import RESULT_COLUMNS
from shared.models.serving import registry

MANIFEST = registry.read_manifest(Settings().model_folders, "seed-v6")
PATHS = [
    "a.wav", "=1+1", "+1.wav", "-1.wav", "@SUM(A1)", "\tx", "\rx", "'quoted'.wav", 'say "so".wav',
    "a,b;c.wav", "two\nlines.wav", "cr\r\nlf.wav", "😀/смех.wav", "שלום\u202e.wav", "line\u2028separator.wav",
    " space ", "",
]  # fmt: skip


def row(clip_id: int, path: str, **values: Any) -> tuple[Any, ...]:
    """A row as the database gives it: the columns, the probabilities, the cursor."""
    known = dict.fromkeys(RESULT_COLUMNS) | {"path": path, "clip_id": clip_id, "model_version": "seed-v6"}
    found = {"outcome": "classified", "emotion": "happy", "confidence": 1 / 3, "threshold": 0.85,
             "duration_s": 3.0, "upload": "=a.zip",
             "probabilities": dict.fromkeys(MANIFEST.labels, 1 / 7)}  # fmt: skip
    columns = known | found | values
    heard = columns.pop("probabilities")
    return (*columns.values(), None if heard is None else json.dumps(heard), 1, clip_id)


NOTHING = dict.fromkeys(("emotion", "confidence", "threshold", "duration_s", "probabilities"))
ROWS = [row(n, path) for n, path in enumerate(PATHS)] + [
    row(100, "-1.wav", **NOTHING, outcome="failed", error_code="not_audio", error="-1.wav is text."),
    row(101, "low.wav", outcome="rejected", emotion=None, confidence=-0.0),
]
PAGES = [ROWS[:10], ROWS[10:]]
# What a probability may be: the doubles at the ends, whole numbers, none, and labels of another version.
HEARD: list[dict[str, Any] | None] = [
    None, {}, dict.fromkeys(MANIFEST.labels), {"boredom": 0.5, MANIFEST.labels[-1]: 0.1 + 0.2},
    dict(zip(MANIFEST.labels, (5e-324, 1, 0, 1 - 2**-53, 1e-05), strict=False)),
    {label: (n + 1) / 7 for n, label in enumerate(reversed(MANIFEST.labels))},
    dict.fromkeys(MANIFEST.labels, 1.7976931348623157e308), {'"': 1.0, "{path}\n": 2.0, "é": None},
]  # fmt: skip


def exported(format: str) -> bytes:
    """The whole stream."""
    blocks = FORMATS[format][0](iter(PAGES), MANIFEST)
    return b"".join(block.encode() if isinstance(block, str) else block for block in blocks)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Parquet export as a file."""
    file = tmp_path_factory.mktemp("exports") / "rows.parquet"
    file.write_bytes(exported("parquet"))
    return file


def expected() -> list[dict[str, Any]]:
    """The rows without their sentences, which only JSON has."""
    return [
        {name: value for name, value in result(one, MANIFEST).items() if name != "message"} for one in ROWS
    ]


def test_csv_comes_back_as_it_was_but_for_the_mark_before_formulas() -> None:
    read = list(csv.DictReader(io.StringIO(exported("csv").decode(), newline="")))
    for got, wanted in zip(read, expected(), strict=True):
        for name, value in wanted.items():
            if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") and value:
                assert got[name] == f"'{value}"
            else:
                assert got[name] == ("" if value is None else str(value))
    assert float(read[-1]["confidence"]) == 0, "a number is never marked"


def test_jsonl_comes_back_as_it_was() -> None:
    lines = exported("jsonl").decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [result(one, MANIFEST) for one in ROWS]


def test_parquet_comes_back_as_it_was_with_a_type_for_each_column(parquet: Path) -> None:
    table = pq.read_table(parquet)
    assert table.to_pylist() == expected()
    kinds = {field.name: str(field.type) for field in table.schema}
    dictionary = "dictionary<values=string, indices=int32, ordered=0>"
    wanted = {"path": "string", "outcome": dictionary, "emotion": dictionary, "model_version": dictionary,
              "clip_id": "int64", "confidence": "double", "threshold": "double"}  # fmt: skip
    assert {name: kinds[name] for name in wanted} == wanted
    assert all(kinds[f"p_{label}"] == "double" for label in MANIFEST.labels)


@pytest.mark.parametrize("first", range(len(HEARD)))
def test_every_format_has_the_probabilities_to_the_last_bit(first: int) -> None:
    """Whatever the first row of a page has, and if there is no other."""
    rows = [row(n, "a.wav", probabilities=heard) for n, heard in enumerate(HEARD[first:])]
    expected = [[(heard or {}).get(label) for label in MANIFEST.labels] for heard in HEARD[first:]]
    names = [f"p_{label}" for label in MANIFEST.labels]
    for pages in ([rows], [[one] for one in rows]):
        files = {name: io.BytesIO() for name in FORMATS}
        for name, file in files.items():
            for block in FORMATS[name][0](iter(pages), MANIFEST, RESULT_COLUMNS):
                file.write(block.encode() if isinstance(block, str) else block)
            file.seek(0)
        table = pq.read_table(files["parquet"])
        assert [[one[name] for name in names] for one in table.to_pylist()] == expected
        lines = [json.loads(line) for line in files["jsonl"]]
        assert [[one[name] for name in names] for one in lines] == expected
        found = list(csv.DictReader(io.StringIO(files["csv"].read().decode(), newline="")))
        assert [[float(one[name]) if one[name] else None for name in names] for one in found] == expected


def test_parquet_of_no_rows_has_the_same_schema(parquet: Path) -> None:
    empty = b"".join(FORMATS["parquet"][0](iter([]), MANIFEST))
    assert pq.read_table(io.BytesIO(empty)).num_rows == 0
    assert pq.read_schema(io.BytesIO(empty)) == pq.read_schema(parquet)


def test_pandas_duckdb_and_polars_open_it(parquet: Path) -> None:
    paths = [one[0] for one in ROWS]
    frame = pd.read_parquet(parquet)
    assert list(frame["path"]) == paths
    assert frame["emotion"].dtype == "category"
    assert frame["confidence"].sum() == pytest.approx(len(PATHS) / 3)
    assert pl.read_parquet(parquet)["path"].to_list() == paths
    query = f"SELECT outcome, count(*), sum(p_happy) FROM '{parquet}' GROUP BY 1 ORDER BY 1"
    counts = {outcome: (count, total) for outcome, count, total in duckdb.sql(query).fetchall()}
    assert counts["classified"] == (len(PATHS), pytest.approx(len(PATHS) / 7))
    assert (counts["failed"][0], counts["rejected"][0]) == (1, 1)
