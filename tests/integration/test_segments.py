"""Segments from the shard to the page: inserted, paged, retried, made again, deleted, on both databases."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from sqlalchemy import event, insert, select, text

from api.app import create_app
from shared.audio.levels import levels, voice_weights
from shared.audio.rumble import without_rumble
from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.settings import REPOSITORY, Settings
from shared.database import deletion
from shared.database.filters import Filters
from shared.database.keyset_scans import Cursor
from shared.database.segments import SEGMENTS
from shared.database.sessions import Database
from shared.database.tables import clip, job, prediction, segment, tombstone, unit
from shared.database.work import Lease
from shared.jobs import leases, lifecycle
from tests.archive_builders import zip_of
from tests.integration.builders import Made, add_prediction, make_job, row_of, set_row
from tests.integration.sending import as_dict, clips_of, send, sent
from workers import ending, purge, renewal
from workers.classify import Classifying, classify
from workers.services import Services
from workers.unpack import unpack

VERSION, RATE = "seed-v6", 16_000
LABELS = ("angry", "calm", "disgust", "fearful", "happy", "neutral")


def voice(seconds: float, *emotions: str) -> bytes:
    """A WAV with a channel for each emotion."""
    channels = [speech_like(emotion, RATE, seconds, seed) for seed, emotion in enumerate(emotions)]
    return wav_bytes(np.stack(channels, axis=1), RATE)


def segments_of(database: Database) -> list[Any]:
    with database.read() as connection:
        order = segment.c.model_version, segment.c.clip_id, segment.c.number
        return list(connection.execute(select(segment).order_by(*order)))


def started(services: Services, members: dict[str, bytes], **options: Any) -> tuple[int, int, list[int]]:
    """A job of these recordings, unpacked: its id, its upload and its units, here one a recording."""
    job_id, upload_id = send(services, zip_of(members))
    set_row(services.database, job, job_id, model_version=VERSION, **options)
    unpack(services, upload_id)
    with services.database.read() as connection:
        units = connection.execute(select(unit.c.id).where(unit.c.job_id == job_id).order_by(unit.c.id))
        return job_id, upload_id, list(units.scalars())


def weights_of(recording: bytes, found: list[Any]) -> list[float]:
    """What each segment should weigh: by the voice in it."""
    samples, rate = soundfile.read(io.BytesIO(recording), dtype="float32", always_2d=True)
    windows = [samples[int(row.start_s * rate) : int(row.end_s * rate), row.channel - 1] for row in found]
    return voice_weights(np.stack([levels(without_rumble(each, rate), rate) for each in windows])).tolist()


def test_a_unit_s_segments_come_with_its_predictions_and_their_mean_is_the_clip_s(services: Services) -> None:
    members = {"a.wav": voice(4.5, "angry", "calm"), "notes.txt": b"words"}
    _, upload_id, units = started(services, members, windows="sliding", channels="separate")
    for unit_id in units:
        classify(services, unit_id)
    stereo, notes = clips_of(services, upload_id)
    found = segments_of(services.database)
    assert [(row.clip_id, row.number, row.channel, row.start_s, row.end_s) for row in found] == [
        (stereo.id, 0, 1, 0.0, 3.0), (stereo.id, 1, 1, 1.5, 4.5), (stereo.id, 2, 2, 0.0, 3.0),
        (stereo.id, 3, 2, 1.5, 4.5),
    ]  # fmt: skip
    with services.database.read() as connection:
        answers = {row.clip_id: row for row in connection.execute(select(prediction))}
    weights = weights_of(members["a.wav"], found)
    assert min(weights) < 0.9
    for label in LABELS:
        mean = np.average([row.probabilities[label] for row in found], weights=weights)
        assert answers[stereo.id].probabilities[label] == pytest.approx(mean, abs=1e-5)
    assert answers[notes.id].outcome == "failed"


def test_a_job_of_clips_has_no_segments(services: Services) -> None:
    _, _, units = started(services, {"a.wav": voice(4.5, "angry", "calm")})
    classify(services, units[0])
    assert segments_of(services.database) == []


def test_the_lease_of_a_long_recording_is_renewed_and_given_back_between_its_batches(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = wav_bytes(np.zeros(200 * RATE, np.float32), RATE)  # 133 windows, five batches
    _, _, units = started(services, {"long.wav": long}, windows="sliding")
    renewed = []

    def renew(database: Database, lease: Lease, lease_s: float) -> None:
        renewed.append(lease.id)
        if len(renewed) == 2:
            raise ending.Ending

    with monkeypatch.context() as patch:
        patch.setattr(leases, "renew", renew)
        patch.setattr(renewal, "SHARE", 0)
        assert classify(services, units[0]) == "given back: this worker ends"
    assert segments_of(services.database) == []
    classify(services, units[0])
    assert row_of(services.database, unit, units[0]).state == "done"
    assert len(segments_of(services.database)) == 133
    assert {row.outcome for row in segments_of(services.database)} == {"no_voice"}


def test_a_clip_that_is_taken_alone_has_the_same_segments(services: Services) -> None:
    members = {f"{n}.wav": voice(3.0 + n, "happy") for n in range(2)}
    rows = []
    for crashes in (0, 1):
        _, upload_id, units = started(services, members, windows="sliding")
        for unit_id in units:
            set_row(services.database, unit, unit_id, crashes=crashes)
            classify(services, unit_id)
        own = {row.id for row in clips_of(services, upload_id)}
        rows.append([row for row in segments_of(services.database) if row.clip_id in own])
    together, alone = rows
    assert len(together) == len(alone) == 3
    for ours, theirs in zip(together, alone, strict=True):
        assert ours[2:6] == theirs[2:6]
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)


def test_a_worker_that_was_overtaken_writes_no_segments(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, units = sent(services, ["a.wav"])
    set_row(services.database, job, row_of(services.database, unit, units[0]).job_id, windows="sliding")
    run = Classifying.run

    def overtaken(self: Classifying) -> str:
        set_row(services.database, unit, units[0], attempts=7)
        return run(self)

    monkeypatch.setattr(Classifying, "run", overtaken)
    assert classify(services, units[0]) == "lease lost; another worker has it"
    assert segments_of(services.database) == []


def test_retry_leaves_the_segments_of_what_is_done_and_makes_those_of_what_failed(services: Services) -> None:
    members = {"a.wav": voice(4.5, "angry"), "b.wav": voice(3.0, "calm")}
    job_id, upload_id, units = started(services, members, windows="sliding")
    a, b = (row.id for row in clips_of(services, upload_id))
    add_prediction(services.database, b, units[1], "failed", VERSION, error_code="unreadable")
    for unit_id in units:
        classify(services, unit_id)
    before = segments_of(services.database)
    assert {row.clip_id for row in before} == {a}
    [bell] = lifecycle.retry(services.database, job_id, [])
    classify(services, bell.id)
    after = segments_of(services.database)
    assert [row for row in after if row.clip_id == a] == before
    assert [(row.start_s, row.end_s) for row in after if row.clip_id == b] == [(0.0, 3.0)]


def test_a_job_that_is_reclassified_has_segments_of_both_versions(services: Services, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(REPOSITORY / "saved_models" / VERSION, models / "again")
    manifest = models / "again" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": "seed-v6"', '"version": "again"'))
    settings = services.settings.model_copy(update={"trained_dir": models})
    services = replace(services, settings=settings)
    job_id, _, units = started(services, {"a.wav": voice(4.5, "angry")}, windows="sliding", hop_s=1.0)
    classify(services, units[0])
    first = segments_of(services.database)
    [bell] = lifecycle.reclassify(services.database, job_id, "again")
    classify(services, bell.id)
    found = segments_of(services.database)
    assert [row.model_version for row in found] == ["again"] * 3 + [VERSION] * 3
    assert [row[2:] for row in found[:3]] == [row[2:] for row in first]
    pages = list(SEGMENTS.pages(services.database, job_id, "again"))
    assert [row.start_s for row in pages[0]] == [0.0, 1.0, 2.0]


def test_nothing_of_a_deleted_job_s_segments_is_left(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "ERASE_ROWS", 2)
    kept, _, units = started(services, {"kept.wav": voice(4.5, "angry")}, windows="sliding")
    classify(services, units[0])
    job_id, _, units = started(services, {"a.wav": voice(7.5, "angry")}, windows="sliding")
    classify(services, units[0])
    assert len(segments_of(services.database)) == 2 + 4
    removed: list[int] = []

    @event.listens_for(services.database.engine, "after_cursor_execute")
    def count(_: object, cursor: Any, statement: str, *__: object) -> None:
        if statement.startswith("DELETE FROM segment"):
            removed.append(cursor.rowcount)

    lifecycle.mark_deleted(services.database, job_id)
    assert "1 erased" in purge.purge(services)
    assert removed == [2, 2, 0]
    assert len(segments_of(services.database)) == 2
    assert row_of(services.database, job, kept).state == "done"
    with services.database.read() as connection:
        assert len(connection.execute(select(tombstone)).all()) == 1


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
