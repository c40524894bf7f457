"""Pages of results: every filter, wherever the cursor stands, on both databases."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import JSON, event, insert, text

from shared.database import results
from shared.database.filters import Filters
from shared.database.results import RESULT_COLUMNS, RESULTS
from shared.database.sessions import Database
from shared.database.tables import clip, job, unit, upload
from tests.integration.builders import VERSION, add_prediction, make_job, set_row
from tests.integration.filled_results import LARGE, answers, fill, pages


def holds(row: Any, filters: Filters) -> bool:
    """What a look at one row says."""
    lowest, highest = (filters.lowest, filters.highest)
    if filters.qualities and filters.qualities.isdisjoint((row["quality"] or "").split()):
        return False
    if lowest is not None or highest is not None:
        confidence = row["confidence"]
        if confidence is None or not (lowest or 0) <= confidence <= (1 if highest is None else highest):
            return False
    of_outcome = not filters.outcomes or row["outcome"] in filters.outcomes
    of_emotion = not filters.emotions or row["emotion"] in filters.emotions
    return of_outcome and of_emotion and row["path"].startswith(filters.path_prefix)


def every_eleventh_filter() -> Iterator[Filters]:
    """Of all combinations of these; since 11 divides none of the numbers, all pairs are among them."""
    outcomes = ((), ("failed",), ("classified", "rejected"), ("no_voice",))
    emotions = ((), ("neutral",), ("happy", "calm"))
    ranges = ((None, None), (0.9, None), (0.2, 0.21), (None, 0.05))
    prefixes = ("", "tapes/", "tapes/07/", "tapes/07/clip 28", "tapes/19/clip 799.wav", "Tapes", "tapes/1")
    qualities = ((), ("noisy",), ("good", "little_voice"))
    every = itertools.product(outcomes, emotions, ranges, prefixes, qualities)
    for outcome, emotion, (low, high), prefix, quality in itertools.islice(every, 0, None, 11):
        yield Filters(frozenset(outcome), frozenset(emotion), low, high, prefix, frozenset(quality))


@pytest.mark.parametrize(
    ("few_paths", "few_answers", "window", "limit"),
    [(10_000, 5000, 20_000, 300), (10_000, 0, 20_000, 300), (5, 0, 60, 40), (5, 20, 60, 40)],
)
def test_pages_of_every_filter_hold_what_a_look_at_each_row_finds(
    filled: Database,
    monkeypatch: pytest.MonkeyPatch,
    few_paths: int,
    few_answers: int,
    window: int,
    limit: int,
) -> None:
    monkeypatch.setattr(results, "FEW_PATHS", few_paths)
    monkeypatch.setattr(results, "FEW_ANSWERS", few_answers)
    monkeypatch.setattr(results, "WINDOW_CLIPS", window)
    whole = pages(filled, Filters(), limit)
    ended = (row for row, found in answers(800) if found or row["error_code"] or row["duplicate_of"])
    assert [row["path"] for row in whole] == [row["path"] for row in ended]
    assert {row["outcome"] for row in whole} == {"classified", "rejected", "failed"}
    for filters in every_eleventh_filter():
        expected = [row for row in whole if holds(row, filters)]
        assert pages(filled, filters, limit) == expected, filters


def test_the_view_has_the_same_rows(filled: Database) -> None:
    columns = (*RESULT_COLUMNS, "probabilities")
    with filled.read() as connection:
        view = text(f"SELECT {', '.join(columns)} FROM results WHERE job = 1").columns(probabilities=JSON)
        seen = {row["clip_id"]: dict(row) for row in connection.execute(view).mappings()}
    rows = pages(filled, Filters(), 1000)
    assert seen == {row["clip_id"]: {name: row[name] for name in columns} for row in rows}


def test_the_view_has_the_same_rows_under_every_version_that_a_job_was_classified_by(
    database: Database,
) -> None:
    made = make_job(database, clips=2)
    set_row(database, clip, made.clips[1], error_code="encrypted", error="1.wav is encrypted.", shard_id=None)
    add_prediction(database, made.clips[0], made.unit, "no_voice", VERSION)
    with database.write() as connection:
        second = insert(unit).values(job_id=made.job, shard_id=made.shard, model_version="v2", state="done")
        second_unit = connection.execute(second.returning(unit.c.id)).scalar_one()
    add_prediction(database, made.clips[0], second_unit, "failed", "v2", error_code="no_audio")
    for version in (VERSION, "v2"):
        view = text(
            "SELECT path, outcome, model_version FROM results WHERE job = :job AND model_version = :v"
        )
        with database.read() as connection:
            seen = connection.execute(view, {"job": made.job, "v": version}).all()
            rows = RESULTS.page(connection, made.job, version, None, 10, Filters())
        assert len(rows) == 2
        assert sorted(seen) == sorted((row.path, row.outcome, version) for row in rows)


def test_a_copy_is_found_by_its_original_s_answer_under_its_own_path(filled: Database) -> None:
    copies = {row["path"] for row, _ in answers(800) if row["duplicate_of"]}
    failed = pages(filled, Filters(outcomes=frozenset({"failed"})), 1000)
    found = [row for row in failed if row["path"] in copies]
    assert found, "no copy of a failed clip is among the rows"
    assert all(row["error"] == f"{row['path']} is text." for row in found)


def test_a_prefix_is_taken_letter_by_letter(database: Database) -> None:
    prefixes = ["a%", "a_", "É", "\ud7ff", "\U0010ffff", "x" * 300, "a\\", "A"]
    paths = [f"{prefix}{rest}" for prefix in prefixes for rest in ("", "b", "\U0010ffff")]
    paths += ["ab", "a", "é", "z", "x" * 299, "\ue000"]
    with database.write() as connection:
        values = {"state": "done", "model_version": VERSION}
        connection.execute(insert(job).values(values | {"id": 1, "key": "k", "created_at": 0}))
        connection.execute(insert(upload).values(id=1, job_id=1, name="a", object_key="o", state="done"))
        common = {"job_id": 1, "upload_id": 1, "error_code": "encrypted", "error": "e"}
        rows = [common | {"member": member, "path": path} for member, path in enumerate(paths)]
        connection.execute(insert(clip), rows)
    for prefix in prefixes:
        found = [row["path"] for row in pages(database, Filters(path_prefix=prefix), 1000)]
        assert found == [path for path in paths if path.startswith(prefix)]


def test_no_page_looks_through_a_whole_table(filled: Database) -> None:
    plans: list[str] = []
    prefix = "EXPLAIN QUERY PLAN " if filled.is_sqlite else "EXPLAIN "

    @event.listens_for(filled.engine, "before_cursor_execute")
    def explain(_: object, cursor: Any, statement: str, parameters: Any, *__: object) -> None:
        if statement.startswith("SELECT"):
            cursor.execute(prefix + statement, parameters)
            plans.extend(str(row[-1]) for row in cursor.fetchall())

    for filters, index in (
        (Filters(), "ix_prediction_by_outcome"),
        (Filters(outcomes=frozenset({"rejected"}), lowest=0.5), "ix_prediction_by_outcome"),
        (Filters(emotions=frozenset({"happy"})), "ix_prediction_by_emotion"),
        (Filters(path_prefix="tapes/07/"), "ix_clip_path"),
        (Filters(lowest=0.2, highest=0.21), "ix_prediction_by_confidence"),
    ):
        plans.clear()
        with filled.read() as connection:
            if not filled.is_sqlite:
                # 800 rows are read from front to back; 1,000,000 are not.
                connection.execute(text("SET LOCAL enable_seqscan = off"))
            RESULTS.page(connection, 1, VERSION, (3, 7), 40, filters)
        assert any(index in line for line in plans), "\n".join(plans)
        scans = [line for line in plans if re.search("(SCAN|Seq Scan on) (clip|prediction)", line)]
        assert scans == []


@pytest.mark.long
def test_pages_of_a_large_job_are_fast_wherever_the_cursor_stands(database: Database) -> None:
    fill(database, LARGE)
    wanted = {
        "all": Filters(),
        "common outcome": Filters(outcomes=frozenset({"rejected"})),
        "rare emotion": Filters(emotions=frozenset({"neutral"})),
        "two emotions": Filters(emotions=frozenset({"happy", "calm"})),
        "narrow confidence": Filters(lowest=0.2, highest=0.2005),
        "one folder": Filters(path_prefix="tapes/19/"),
        "one file": Filters(path_prefix=f"tapes/19/clip {LARGE - 1}.wav"),
        "every folder": Filters(path_prefix="tapes/"),
    }
    slow = {}
    for name, filters in wanted.items():
        for after in (None, (2, LARGE // 8), (4, LARGE // 4 - 1200)):
            durations = []
            for _ in range(3):
                with database.read() as connection:
                    start = time.perf_counter()
                    RESULTS.page(connection, 1, VERSION, after, 1000, filters)
                    durations.append(time.perf_counter() - start)
            print(f"{database.url.get_backend_name()} {name} behind {after}: {min(durations) * 1000:.1f} ms")
            if min(durations) > 0.2:  # 0.1 s alone on the machine
                slow[name, after] = min(durations)
    assert slow == {}
