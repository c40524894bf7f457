"""Segments in the work on a unit: inserted, retried, made again, deleted, on both databases."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sqlalchemy import event, select

from shared.audio.levels import levels, voice_weights
from shared.audio.rumble import without_rumble
from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.settings import REPOSITORY
from shared.database import deletion
from shared.database.segments import SEGMENTS
from shared.database.sessions import Database
from shared.database.tables import job, prediction, segment, tombstone, unit
from shared.database.work import Lease
from shared.jobs import leases, lifecycle
from tests.archive_builders import zip_of
from tests.integration.builders import LABELS, VERSION, add_prediction, row_of, set_row
from tests.integration.sending import clips_of, send, sent
from workers import ending, purge, renewal
from workers.classify import Classifying, classify
from workers.services import Services
from workers.unpack import unpack

RATE = 16_000


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
