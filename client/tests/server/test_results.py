"""Results: rows, exports, frames, recordings."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from voxmood.client import Client
from voxmood.documents import JobDocument, ResultRow
from voxmood.errors import NoSuchFolder, RequestRefused
from voxmood.states import Outcome

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")


def heard(rows: list[ResultRow]) -> ResultRow:
    return next(row for row in rows if row.confidence is not None)


def test_rows_come_whole_whatever_a_page_holds(client: Client, done: JobDocument) -> None:
    rows = list(client.results(done.id))
    assert len(rows) == done.counts.done > 10
    assert list(client.results(done.id, page_rows=3)) == rows
    one = heard(rows)
    assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-3)
    assert max(one.probabilities.values()) == pytest.approx(one.confidence)
    assert [row.probabilities for row in rows if row.outcome == Outcome.FAILED] == [{}] * done.counts.failed


def test_rows_are_those_of_the_exports(client: Client, done: JobDocument) -> None:
    rows = [row.model_dump(mode="json") for row in client.results(done.id)]
    lines = b"".join(client.export(done.id, "jsonl")).splitlines()
    assert [json.loads(line) for line in lines] == rows
    table = list(csv.DictReader(io.StringIO(b"".join(client.export(done.id)).decode())))
    assert [row["path"] for row in table] == [row["path"] for row in rows]
    assert {*table[0], "message"} == {*rows[0]}


@pytest.mark.parametrize(
    "choice",
    [
        {"outcome": Outcome.FAILED},
        {"outcome": ["rejected", "classified"]},
        {"confidence": (0.5, None)},
        {"confidence": ":0.95"},
        {"path_prefix": "people/"},
        {"quality": "good", "outcome": "classified"},
    ],
)
def test_filters_choose_rows(client: Client, done: JobDocument, choice: dict[str, object]) -> None:
    chosen = list(client.results(done.id, **choice))  # type: ignore[arg-type]
    every = list(client.results(done.id))
    assert 0 < len(chosen) < len(every)
    assert {row.clip_id for row in chosen} <= {row.clip_id for row in every}
    assert len(client.results_frame(done.id, **choice)) == len(chosen)  # type: ignore[call-overload]


def test_a_wrong_filter_is_refused_with_the_servers_sentence(client: Client, done: JobDocument) -> None:
    with pytest.raises(RequestRefused, match="bored is no emotion of"):
        list(client.results(done.id, emotion="bored"))
    with pytest.raises(RequestRefused, match="There is no job"):
        list(client.export(2**40))


def test_segments_lie_within_their_clip(client: Client, done: JobDocument) -> None:
    lengths = {row.clip_id: row.duration_s for row in client.results(done.id)}
    segments = list(client.segments(done.id, page_rows=7))
    assert len(segments) > len({one.clip_id for one in segments}) > 5
    assert all(0 <= one.start_s < one.end_s <= lengths[one.clip_id] + 0.01 for one in segments)  # type: ignore[operator]


def test_frames_of_the_three_libraries_hold_the_same(client: Client, done: JobDocument) -> None:
    rows = list(client.results(done.id))
    frame = client.results_frame(done.id)
    assert isinstance(frame, pandas.DataFrame)
    arrow = client.results_frame(done.id, "pyarrow")
    polar = client.results_frame(done.id, "polars")
    paths = [row.path for row in rows]
    assert frame["path"].tolist() == arrow["path"].to_pylist() == polar["path"].to_list() == paths
    assert list(frame.columns) == arrow.column_names == polar.columns
    said = [row.confidence for row in rows]
    assert arrow["confidence"].to_pylist() == polar["confidence"].to_list() == said
    assert (frame.groupby("outcome", observed=True).size() > 0).all()


def test_an_empty_choice_is_a_frame_with_columns(client: Client, done: JobDocument) -> None:
    frame = client.results_frame(done.id, path_prefix="nowhere/")
    assert (len(frame), "p_calm" in frame) == (0, True)
    assert client.audformat(done.id, path_prefix="nowhere/").index.names == ["file", "start", "end"]


def test_the_index_is_that_of_audformat(client: Client, done: JobDocument) -> None:
    whole, parts = client.audformat(done.id), client.audformat(done.id, segments=True)
    for table in (whole, parts):
        assert table.index.names == ["file", "start", "end"]
        assert list(map(str, table.index.dtypes)) == ["string", "timedelta64[ns]", "timedelta64[ns]"]
        assert not {"path", "start_s", "end_s"} & set(table)
    assert whole.index.get_level_values("end").isna().all()
    first = next(client.segments(done.id))
    file, start, end = parts.index[0]
    assert (file, start.total_seconds(), end.total_seconds()) == (first.path, first.start_s, first.end_s)


def test_an_export_is_written_whole_or_not_at_all(client: Client, done: JobDocument, tmp_path: Path) -> None:
    file = client.export_to(tmp_path / "rows.parquet", done.id, "parquet")
    assert pandas.read_parquet(file)["clip_id"].tolist() == [row.clip_id for row in client.results(done.id)]
    with pytest.raises(RequestRefused):
        client.export_to(tmp_path / "none.csv", done.id, emotion="bored")
    with pytest.raises(NoSuchFolder, match="There is no folder"):
        client.export_to(tmp_path / "none" / "rows.csv", done.id)
    assert list(tmp_path.glob("*.*")) == [file]


def test_an_export_of_a_job_that_goes_on_says_so(client: Client) -> None:
    notes: list[str] = []
    job = client.create_job("open").id
    assert b"".join(client.export(job, on_note=notes.append)).startswith(b"path,")
    assert notes == [f"Job {job} is open: these are the rows so far, not all of them."]


def test_a_recording_comes_back_as_it_was_sent(client: Client, done: JobDocument) -> None:
    row = heard(list(client.results(done.id)))
    whole = client.audio(row.clip_id)
    assert len(whole) > 1000
    assert client.audio(row.clip_id, 100) == whole[:100]
    with pytest.raises(RequestRefused, match="There is no clip"):
        client.audio(2**40)
