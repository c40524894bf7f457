"""Result rows as people and programs take them away: CSV, JSONL, Parquet, each as a stream.

A stream holds one page of rows, Parquet one row group: memory does not grow with the job.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, cast

from shared.database.results import RESULT_COLUMNS
from shared.models.serving.manifest import Manifest
from shared.models.serving.rejection import message
from voxmood.cells import guarded

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Sequence[str]  # of a row, in their order; p_<emotion> for each label follow
# What these columns hold, then the probabilities as JSON text or None; whatever follows is not looked at.
Row = Sequence[Any]
Pages = Iterable[Sequence[Row]]
# Of a Parquet file. Of 65,536 the API held 30 MB more while it wrote, in the same time.
ROW_GROUP_ROWS = 16_384
# Of probabilities, parsed in one piece; no row may be longer.
JSON_BLOCK_BYTES = 4 * 2**20


def result(row: Row, manifest: Manifest, names: Columns = RESULT_COLUMNS) -> dict[str, Any]:
    """One row as the contract has it, with its sentence."""
    columns = dict(zip(names, row, strict=False))
    probabilities = _probabilities(row, names)
    columns |= {f"p_{label}": probabilities.get(label) for label in manifest.labels}
    columns["message"] = message(
        columns["outcome"],
        emotion=columns["emotion"],
        confidence=columns["confidence"],
        threshold=columns["threshold"],
        unknown_labels=manifest.unknown_labels,
        error=columns["error"],
        quality=(columns["quality"] or "").split(),
    )
    return columns


def _probabilities(row: Row, names: Columns) -> dict[str, float]:
    found: dict[str, float] = json.loads(row[len(names)] or "{}")
    return found


def csv_stream(pages: Pages, manifest: Manifest, names: Columns = RESULT_COLUMNS) -> Generator[str]:
    """A header, then a line a row. A text that a spreadsheet would take for a formula gets a leading '."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*names, *(f"p_{label}" for label in manifest.labels)])
    for rows in pages:
        for row in rows:
            probabilities = _probabilities(row, names)
            heard = [probabilities.get(label) for label in manifest.labels]
            writer.writerow([guarded(value) for value in (*row[: len(names)], *heard)])
        block, rows = [text.getvalue()], ()
        text.seek(0)
        text.truncate()
        yield block.pop()  # while its reader takes his time, nothing else of it is held
    yield text.getvalue()


def jsonl_stream(pages: Pages, manifest: Manifest, names: Columns = RESULT_COLUMNS) -> Generator[str]:
    """A JSON object a line."""
    for rows in pages:
        lines = (json.dumps(result(row, manifest, names), ensure_ascii=False) + "\n" for row in rows)
        block, rows = ["".join(lines)], ()
        yield block.pop()


def parquet_schema(manifest: Manifest, names: Columns) -> pa.Schema:
    """Every column with its type: what repeats is a dictionary, what is measured a double."""
    import pyarrow as pa

    repeated = pa.dictionary(pa.int32(), pa.string())
    kinds: dict[str, pa.DataType] = dict.fromkeys(names, repeated) | {
        "path": pa.string(),
        "error": pa.string(),
    }
    measured = ("confidence", "threshold", "duration_s", "start_s", "end_s")
    kinds |= dict.fromkeys((name for name in names if name in measured), pa.float64())
    kinds |= {"clip_id": pa.int64()} | {f"p_{label}": pa.float64() for label in manifest.labels}
    return pa.schema(list(kinds.items()))


def parquet_stream(pages: Pages, manifest: Manifest, names: Columns = RESULT_COLUMNS) -> Generator[bytes]:
    """Row groups as they fill, then the footer."""
    # It takes 60 MB of memory: only an API that is asked for Parquet pays for it.
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = parquet_schema(manifest, names)
    # A dictionary of what never repeats took two thirds of the writing, and a fifth of the file.
    repeated = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    outlet = _Outlet()
    with ParquetWriter(
        cast("IO[bytes]", outlet),
        schema,
        compression="zstd",
        use_dictionary=cast("bool", repeated),  # its stubs know no list
    ) as writer:
        held: list[pa.RecordBatch] = []
        for rows in pages:
            held.append(_batch(rows, manifest, schema, names))
            if sum(batch.num_rows for batch in held) + len(rows) > ROW_GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(held))
                held, rows = [], ()
                yield outlet.taken()
        if held:
            writer.write_table(pa.Table.from_batches(held))
    yield outlet.taken()


def _batch(rows: Sequence[Row], manifest: Manifest, schema: pa.Schema, names: Columns) -> pa.RecordBatch:
    """Column by column, the probabilities parsed all at once: no dict a row."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    *columns, texts = list(zip(*rows, strict=True))[: len(names) + 1]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    lines = "\n".join([text or "{}" for text in texts]).encode()
    heard = arrow_json.read_json(
        io.BytesIO(lines),
        arrow_json.ReadOptions(use_threads=False, block_size=JSON_BLOCK_BYTES),
        arrow_json.ParseOptions(
            explicit_schema=pa.schema([(label, pa.float64()) for label in manifest.labels]),
            unexpected_field_behavior="ignore",
        ),
    )
    arrays += [pa.concat_arrays(heard[label].chunks) for label in manifest.labels]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Outlet(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, block: Any) -> int:
        self._held += block
        self._position += len(block)
        return len(block)

    def taken(self) -> bytes:
        """What came since the last time."""
        held = bytes(self._held)
        self._held.clear()
        return held


FORMATS: dict[str, tuple[Callable[[Pages, Manifest, Columns], Generator[str] | Generator[bytes]], str]] = {
    "csv": (csv_stream, "text/csv; charset=utf-8"),
    "jsonl": (jsonl_stream, "application/jsonl"),
    "parquet": (parquet_stream, "application/vnd.apache.parquet"),
}
