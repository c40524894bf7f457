"""The champion moves when somebody says so, and goes back; a job keeps the version that it was made with."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shared.core.errors.models import ChampionFrozen, NothingToRollBack
from shared.core.settings import REPOSITORY, Settings
from shared.database import models, promotions
from shared.database.sessions import Database
from shared.jobs import champions
from workers.services import Services

DEFAULT = "v8"


def moves(database: Database) -> list[tuple[str, str, bool]]:
    """From, to, and whether it was undone; the first move first."""
    with database.read() as connection:
        found = promotions.promotions(connection, 100)[::-1]
    return [(one.previous, one.version, one.undone_at is not None) for one in found]


def test_a_promotion_is_remembered_and_each_rollback_undoes_one(database: Database) -> None:
    assert champions.current(database, DEFAULT) == "v8"
    champions.promote(database, "a", DEFAULT, "the owner")
    champions.promote(database, "b", DEFAULT, "the gate")
    champions.promote(database, "b", DEFAULT, "the gate")
    assert champions.current(database, DEFAULT) == "b"
    assert moves(database) == [("v8", "a", False), ("a", "b", False)], "the same again is no move"
    assert champions.roll_back(database, DEFAULT) == "a"
    assert champions.roll_back(database, DEFAULT) == "v8"
    assert champions.current(database, "another by now") == "v8", "what was champion before, by its name"
    assert moves(database) == [("v8", "a", True), ("a", "b", True)]
    with pytest.raises(NothingToRollBack, match="the champion is v8"):
        champions.roll_back(database, DEFAULT)


def test_a_frozen_champion_stays_and_a_rollback_freezes_it(database: Database) -> None:
    champions.promote(database, "a", DEFAULT, "the owner")
    champions.freeze(database, frozen=True)
    with pytest.raises(ChampionFrozen, match="it stays a until"):
        champions.promote(database, "b", DEFAULT, "the gate")
    champions.promote(database, "a", DEFAULT, "the owner")
    champions.freeze(database, frozen=False)
    champions.promote(database, "b", DEFAULT, "the owner")
    champions.roll_back(database, DEFAULT)
    with pytest.raises(ChampionFrozen):
        champions.promote(database, "b", DEFAULT, "the gate")
    champions.freeze(database, frozen=False)
    champions.promote(database, "b", DEFAULT, "the gate")
    assert champions.current(database, DEFAULT) == "b"


def test_moves_at_the_same_time_come_one_after_the_other(database: Database) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: champions.promote(database, f"v{n}", DEFAULT, "x"), range(16)))
    told = moves(database)
    assert [previous for previous, _, _ in told] == [DEFAULT, *(version for _, version, _ in told[:-1])]
    assert champions.current(database, DEFAULT) == told[-1][1]


def test_nothing_moves_where_a_part_of_a_move_fails(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    champions.promote(database, "a", DEFAULT, "the owner")
    with monkeypatch.context() as patch:
        patch.setattr(promotions, "insert_promotion", broken)
        with pytest.raises(RuntimeError):
            champions.promote(database, "b", DEFAULT, "the owner")
    with monkeypatch.context() as patch:
        patch.setattr(promotions, "set_frozen", broken)
        with pytest.raises(RuntimeError):
            champions.roll_back(database, DEFAULT)
    assert champions.current(database, DEFAULT) == "a"
    assert moves(database) == [("v8", "a", False)]


def test_workers_take_the_champion_that_was_promoted(services: Services) -> None:
    assert services.champion() == "v8"
    champions.promote(services.database, "v8-small", services.settings.champion, "the owner")
    assert services.champion() == "v8-small"


def test_jobs_made_after_a_move_have_the_new_champion_and_others_keep_theirs(client: TestClient) -> None:
    before = client.post("/v1/jobs", json={}).json()
    told = client.post("/v1/models/v8-small/promote").json()
    assert (told["version"], told["frozen_at"]) == ("v8-small", None)
    assert [(one["version"], one["previous"], one["promoted_by"]) for one in told["promotions"]] == [
        ("v8-small", "v8", "the owner")
    ]
    after = client.post("/v1/jobs", json={}).json()
    assert (before["model_version"], after["model_version"]) == ("v8", "v8-small")
    assert client.get(f"/v1/jobs/{before['id']}").json()["model_version"] == "v8"
    listed = client.get("/v1/models").json()
    assert {one["version"]: one["aliases"] for one in listed["models"]}["v8-small"] == ["champion"]
    assert listed["champion"] == told

    told = client.post("/v1/models/rollback").json()
    assert told["version"] == "v8"
    assert told["frozen_at"] is not None
    refused = client.post("/v1/models/v8-six/promote")
    assert (refused.status_code, refused.json()["code"]) == (409, "champion_frozen")
    assert client.post("/v1/models/freeze", json={"frozen": False}).json()["frozen_at"] is None
    assert client.post("/v1/models/freeze").json()["frozen_at"] is not None
    assert client.post("/v1/models/rollback").json()["code"] == "nothing_to_roll_back"


def test_a_version_may_be_promoted_by_an_alias_and_an_unknown_or_damaged_one_is_refused(
    client: TestClient, settings: Settings
) -> None:
    database = Database(settings.database_url)
    with database.write() as connection:
        models.move_alias(connection, database, "candidate", "v8-six")
    assert client.post("/v1/models/candidate/promote").json()["version"] == "v8-six"
    refused = client.post("/v1/models/nobody/promote")
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_model")

    broken = settings.trained_dir / "mine"
    shutil.copytree(REPOSITORY / "saved_models" / "seed-v6", broken)
    manifest = json.loads((broken / "manifest.json").read_text())
    (broken / "manifest.json").write_text(json.dumps(manifest | {"version": "mine"}))
    Path(broken / "model.onnx").write_bytes(b"another")
    refused = client.post("/v1/models/mine/promote")
    assert refused.json()["code"] == "damaged_model"
    assert client.get("/v1/models").json()["champion"]["version"] == "v8-six", "the last good one stays"
    database.close()
