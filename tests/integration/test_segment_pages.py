"""Segments as the API tells them, and which windows a job may ask for: pages, filters, exports."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, insert, text

from api.app import create_app
from shared.core.settings import REPOSITORY, Settings
from shared.database.filters import Filters
from shared.database.keyset_scans import Cursor
from shared.database.segments import SEGMENTS
from shared.database.sessions import Database
from shared.database.tables import clip, job, segment
from tests.integration.builders import LABELS, VERSION, Made, add_prediction, make_job, row_of, set_row
from tests.integration.sending import as_dict


def filled(database: Database) -> tuple[Made, list[dict[str, Any]]]:
    """A job of 20 clips with up to four segments each, copies among them; and its rows in order."""
    made = make_job(database, clips=20, state="done", windows="sliding", channels="separate")
    paths = [f"{'a' if n % 3 else 'b'}/{n}.wav" for n in range(20)]
    copies = {13: 2, 17: 4}
    stored: dict[int, list[dict[str, Any]]] = {}
    for n, clip_id in enumerate(made.clips):
        set_row(database, clip, clip_id, path=paths[n])
        if n in copies:
            set_row(database, clip, clip_id, duplicate_of=made.clips[copies[n]])
        elif n == 5:
            add_prediction(database, clip_id, made.unit, "failed", VERSION, error_code="not_audio")
        elif n != 6:  # which has no outcome yet
            add_prediction(database, clip_id, made.unit, "rejected", VERSION, threshold=0.6, duration_s=4.5)
            stored[n] = [_segment(n, number) for number in range(1 + n % 4)]
    with database.write() as connection:
        rows = [{"clip_id": made.clips[n], "model_version": VERSION, **row}
                for n, found in stored.items() for row in found]  # fmt: skip
        connection.execute(insert(segment), rows)
    expected = [
        {"path": paths[n], "clip_id": made.clips[n], **row}
        for n in range(20)
        for row in stored.get(copies.get(n, n), [])
    ]
    return made, expected


def _segment(n: int, number: int) -> dict[str, Any]:
    channel, place = divmod(number, 2)
    row = {"number": number, "channel": channel + 1, "start_s": 1.5 * place, "end_s": 1.5 * place + 3.0}
    sure = (n * 7 + number * 3) % 10 / 10
    if (n + number) % 5 == 0:
        return row | {"outcome": "no_voice", "emotion": None, "confidence": None, "probabilities": None}
    emotion = LABELS[n % 3] if sure >= 0.6 else None
    return row | {"outcome": "classified" if emotion else "rejected", "emotion": emotion, "confidence": sure,
                  "probabilities": dict.fromkeys(LABELS, 1 / 6)}  # fmt: skip


def pages(database: Database, job_id: int, limit: int, filters: Filters | None = None) -> list[Any]:
    found: list[Any] = []
    after: Cursor | None = None
    while True:
        with database.read() as connection:
            rows = SEGMENTS.page(connection, job_id, VERSION, after, limit, filters or Filters())
        found += [as_dict(row) for row in rows]
        if len(rows) < limit:
            return found
        after = SEGMENTS.cursor_of(rows[-1])


def test_pages_of_any_size_have_all_segments_in_archive_order_then_by_channel_and_time(
    database: Database,
) -> None:
    made, expected = filled(database)
    whole = pages(database, made.job, 1000)
    own = ("path", "clip_id", "outcome", "emotion", "confidence", "start_s", "end_s", "probabilities")
    assert [{name: row[name] for name in own} for row in whole] == [
        {name: row[name] for name in own} for row in expected
    ]
    assert [row["channel"] for row in whole] == [str(row["channel"]) for row in expected]
    assert {(row["threshold"], row["outcome"] == "no_voice") for row in whole} == {(0.6, False), (None, True)}
    assert {(row["duration_s"], row["model_version"], row["upload"]) for row in whole} == {
        (4.5, VERSION, "a.zip")
    }
    for limit in (1, 2, 3, 7):
        assert pages(database, made.job, limit) == whole
    every = SEGMENTS.pages(database, made.job, VERSION, most=4)
    assert [as_dict(row) for page in every for row in page] == whole
    assert pages(database, made.job + 1, 10) == []


def test_filters_look_at_the_segments_themselves(database: Database) -> None:
    made, _ = filled(database)
    whole = pages(database, made.job, 1000)
    outcomes, emotions = ((), ("no_voice",), ("classified", "rejected")), ((), ("calm",))
    for outcome, emotion, (low, high), prefix in product(
        outcomes, emotions, ((None, None), (0.3, 0.7)), ("", "a/", "b/1")
    ):
        filters = Filters(frozenset(outcome), frozenset(emotion), low, high, prefix)
        expected = [
            row for row in whole
            if (not outcome or row["outcome"] in outcome)
            and (not emotion or row["emotion"] in emotion)
            and (low is None or (row["confidence"] is not None and low <= row["confidence"] <= (high or 1)))
            and row["path"].startswith(prefix)
        ]  # fmt: skip
        assert pages(database, made.job, 3, filters) == expected


def test_mixed_segments_have_an_empty_channel(database: Database) -> None:
    made, _ = filled(database)
    with database.write() as connection:
        connection.execute(segment.update().values(channel=0))
    assert {row["channel"] for row in pages(database, made.job, 1000)} == {""}


def test_no_page_of_segments_looks_through_a_whole_table(database: Database) -> None:
    made, _ = filled(database)
    plans: list[str] = []
    prefix = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "

    @event.listens_for(database.engine, "before_cursor_execute")
    def explain(_: object, cursor: Any, statement: str, parameters: Any, *__: object) -> None:
        if statement.startswith("SELECT"):
            cursor.execute(prefix + statement, parameters)
            plans.extend(str(row[-1]) for row in cursor.fetchall())

    with database.read() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # 20 rows are read at once
        SEGMENTS.page(connection, made.job, VERSION, (made.upload, 7, 1), 40, Filters())
    assert any("ix_clip_archive_order" in line for line in plans), "\n".join(plans)
    scans = [line for line in plans if re.search("(SCAN|Seq Scan on) (clip|prediction|segment)", line)]
    assert scans == []


@pytest.fixture
def client(database: Database, tmp_path: Path) -> Iterator[TestClient]:
    """The API in this process, with a model `short` that hears 2 s at once."""
    models = tmp_path / "models"
    shutil.copytree(REPOSITORY / "saved_models" / VERSION, models / "short")
    manifest = models / "short" / "manifest.json"
    text = manifest.read_text().replace('"version": "seed-v6"', '"version": "short"')
    manifest.write_text(text.replace('"seconds": 3.0', '"seconds": 2.0'))
    url = database.url.render_as_string(hide_password=False)
    with TestClient(create_app(Settings(database_url=url, trained_dir=models)), "http://localhost") as made:
        yield made


def test_a_job_says_its_windows_and_is_refused_what_its_version_cannot_hear(client: TestClient) -> None:
    made = client.post("/v1/jobs", json={"windows": "sliding", "win_s": 2.5, "channels": "separate"}).json()
    assert (made["windows"], made["win_s"], made["hop_s"], made["channels"]) == (
        "sliding", 2.5, None, "separate",
    )  # fmt: skip
    plain = client.post("/v1/jobs", json={}).json()
    assert (plain["windows"], plain["win_s"], plain["hop_s"], plain["channels"]) == (
        "clip",
        None,
        None,
        "mix",
    )
    for asked, code, words in (
        (
            {"windows": "sliding", "win_s": 8},
            "window_too_long",
            "8 s are longer than the 6.4 s that model vers",
        ),
        ({"windows": "sliding", "hop_s": 7}, "hop_too_long", "A hop of 7 s would leave gaps"),
        ({"win_s": 2}, "window_unasked", "those of sliding windows"),
        (
            {"windows": "sliding", "win_s": 2.5, "model": "short"},
            "window_too_long",
            "2.5 s are longer than th",
        ),
        ({"windows": "sliding", "hop_s": 0.05}, "invalid_request", "must be 0.1 or more"),
        ({"windows": "often"}, "invalid_request", "'clip' or 'sliding'"),
        ({"channels": "left"}, "invalid_request", "'mix' or 'separate'"),
    ):
        answer = client.post("/v1/jobs", json=asked)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert words in answer.json()["detail"]


def test_reclassify_refuses_a_version_that_cannot_hear_the_job_s_windows(
    client: TestClient, database: Database
) -> None:
    made = make_job(database, state="done", windows="sliding", win_s=2.5)
    answer = client.post(f"/v1/jobs/{made.job}/reclassify", json={"model": "short"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "window_too_long"
    assert row_of(database, job, made.job).state == "done"
    set_row(database, job, made.job, win_s=None)
    with_own = client.post(f"/v1/jobs/{made.job}/reclassify", json={"model": "short"})
    assert with_own.json().get("code") != "window_too_long"


def test_the_api_pages_and_exports_segments_and_says_where_there_are_none(
    client: TestClient, database: Database
) -> None:
    made, expected = filled(database)
    path = f"/v1/jobs/{made.job}"
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"segments": "true", "limit": 7} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{path}/results", params=params).json()
        rows += page["results"]
        if (cursor := page["next"]) is None:
            break
        last = cursor
    assert [row["path"] for row in rows] == [row["path"] for row in expected]
    columns = ["clip_id", "quality", "channel", "start_s", "end_s", *(f"p_{label}" for label in LABELS)]
    assert list(rows[0])[10:-1] == columns
    text = client.get(f"{path}/export", params={"segments": "true"}).text
    assert len(text.splitlines()) == 1 + len(rows)
    assert text.splitlines()[0].endswith(",".join(columns))
    assert "channel" not in client.get(f"{path}/results").json()["results"][0]
    for params in ({"cursor": last}, {"segments": "true", "cursor": "MToy"}):
        assert client.get(f"{path}/results", params=params).json()["code"] == "wrong_cursor"
    plain = make_job(database, state="done")
    for route in ("results", "export"):
        refused = client.get(f"/v1/jobs/{plain.job}/{route}", params={"segments": "true"})
        assert (refused.status_code, refused.json()["code"]) == (409, "no_segments")
        assert f"Job {plain.job} has no segments: they are kept where" in refused.json()["detail"]
