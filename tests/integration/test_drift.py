"""Whether what a version hears lately is like what its threshold was set on."""

from __future__ import annotations

import numpy as np
import pytest
from fastapi.testclient import TestClient

from shared.core.settings import REPOSITORY, Settings
from shared.core.states import Outcome
from shared.database.sessions import Database
from shared.database.tables import job
from shared.jobs import drift
from shared.models.serving.registry import read_manifest
from shared.models.serving.rejection import RiskCoverage
from tests.integration.builders import add_prediction, make_job, set_row

CHAMPION = read_manifest(REPOSITORY / "saved_models", "v8")
DAY_S = 86_400.0


def hear(database: Database, confidences: list[float], version: str = "v8", days_ago: float = 0) -> int:
    """A job with answers of these confidences; its number."""
    made = make_job(database, len(confidences))
    for clip_id, confidence in zip(made.clips, confidences, strict=True):
        add_prediction(database, clip_id, made.unit, Outcome.REJECTED, version, confidence=confidence)
    if days_ago:
        set_row(database, job, made.job, started_at=database.clock - days_ago * DAY_S)
    return made.job


def as_calibrated(n: int) -> list[float]:
    """Confidences that are distributed as those that v8's threshold was set on."""
    curve = CHAMPION.threshold_rule.curve
    thresholds, coverages = [one for one, _, _ in curve], [one for _, one, _ in curve]
    return np.interp((np.arange(n) + 0.5) / n, coverages, thresholds).tolist()


def test_the_ranges_hold_a_tenth_of_the_calibration_each() -> None:
    bounds, expected = drift.calibration_bins(CHAMPION.threshold_rule.curve)
    assert (bounds[0], bounds[-1]) == (0.0, 1.0)
    assert bounds == sorted(set(bounds))
    assert sum(expected) == pytest.approx(1)
    assert len(expected) >= 8
    assert all(0.05 <= share <= 0.16 for share in expected), expected


def test_ranges_of_a_curve_whose_clips_are_all_alike_are_few() -> None:
    curve = RiskCoverage.of([0.9] * 50 + [1.0] * 50, [True] * 100).points()
    bounds, expected = drift.calibration_bins(curve)
    assert sum(expected) == pytest.approx(1)
    assert bounds[-1] == 1.0
    assert drift.calibration_bins([]) == ([], [])


def test_recordings_as_then_are_stable_and_others_are_not(database: Database) -> None:
    hear(database, as_calibrated(400))
    told = drift.drift(database, CHAMPION, 7)
    assert told.clips == 400
    assert told.index is not None
    assert (told.index < 0.03, told.state) == (True, "stable")
    assert sum(one.found for one in told.bins) == pytest.approx(1)
    hear(database, [0.3] * 400)
    told = drift.drift(database, CHAMPION, 7)
    assert told.index is not None
    assert (told.index > 0.25, told.state) == (True, "changed")


def test_only_answers_of_the_version_and_of_jobs_of_these_days_count(database: Database) -> None:
    hear(database, as_calibrated(250))
    hear(database, [0.3] * 250, days_ago=9)
    hear(database, [0.3] * 250, version="v8-small")
    assert drift.drift(database, CHAMPION, 7).clips == 250
    assert drift.drift(database, CHAMPION, 10).clips == 500
    set_row(database, job, hear(database, as_calibrated(210)), key_id=7)
    assert drift.drift(database, CHAMPION, 7, key_id=7).clips == 210, "a key is told of its own jobs alone"


def test_few_clips_and_versions_without_a_curve_say_nothing(database: Database) -> None:
    hear(database, as_calibrated(drift.FEWEST_CLIPS - 1))
    told = drift.drift(database, CHAMPION, 7)
    assert (told.index, told.state, told.clips) == (None, "unknown", drift.FEWEST_CLIPS - 1)
    without = read_manifest(REPOSITORY / "saved_models", "seed-v6")
    assert drift.drift(database, without, 7).bins == []


def test_the_api_tells_it_of_a_version_or_an_alias(client: TestClient, settings: Settings) -> None:
    database = Database(settings.database_url)
    hear(database, [0.0, 1.0] * 150)
    told = client.get("/v1/models/champion/drift").json()
    assert (told["version"], told["days"], told["clips"], told["state"]) == ("v8", 7.0, 300, "changed")
    assert (told["bins"][0]["found"], told["bins"][-1]["found"]) == (0.5, 0.5), "both ends count"
    assert client.get("/v1/models/nobody/drift").status_code == 404
    assert client.get("/v1/models/v8/drift", params={"days": 0}).status_code == 422
    database.close()
