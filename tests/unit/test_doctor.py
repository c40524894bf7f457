"""`voxmood doctor` where no stack runs: what it finds, and what it says to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shared.core.settings import REPOSITORY
from shared.database import upgrade
from shared.database.sessions import Database
from voxmood.cli.main import app


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A state folder that does not exist yet; nothing else from the environment."""
    for name in os.environ:
        if name.startswith("VOXMOOD_"):
            monkeypatch.delenv(name)
    state = tmp_path / "state"
    monkeypatch.setenv("VOXMOOD_STATE", str(state))
    return state


def diagnosis(exit_code: int) -> dict[str, list[dict[str, Any]]]:
    """The findings by check."""
    done = CliRunner().invoke(app, ["doctor", "--json"], catch_exceptions=False)
    assert done.exit_code == exit_code, done.output
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        assert finding["do"] or finding["level"] == "ok", "each finding says what to do"
        found.setdefault(finding["check"], []).append(finding)
    return found


def problem(found: dict[str, list[dict[str, Any]]], check: str) -> str:
    return next(one["says"] for one in found[check] if one["level"] == "problem")


def test_without_a_stack_it_says_so_and_touches_nothing(own_state: Path) -> None:
    found = diagnosis(0)
    assert found["stack"][0]["level"] == "warning"
    assert found["stack"][0]["says"] == f"No stack runs on {own_state}"
    assert "voxmood up" in found["stack"][0]["do"]
    assert {
        "python",
        "packages",
        "valkey-server",
        "weed",
        "disk",
        "memory",
        "models",
        "device",
        "ports",
        "database",
    } < set(found)
    assert "seed-v6: " in found["models"][0]["says"]
    assert not own_state.exists()


def test_the_text_names_levels_and_counts() -> None:
    done = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "Problems: 0" in done.output
    assert "voxmood up` starts one." in done.output


def test_a_changed_model_file_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(REPOSITORY / "saved_models" / "seed-v6", tmp_path / "models" / "seed-v6")
    monkeypatch.setenv("VOXMOOD_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("VOXMOOD_CHAMPION", "seed-v6")
    diagnosis(0)
    with (tmp_path / "models" / "seed-v6" / "model.keras").open("r+b") as file:
        file.write(b"damaged")
    assert "model.keras has changed" in problem(diagnosis(1), "models")


def test_a_champion_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMOOD_CHAMPION", "nobody")
    assert "no model version nobody" in problem(diagnosis(1), "models")


def test_a_named_port_that_is_taken_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("VOXMOOD_API_PORT", str(port))
        assert problem(diagnosis(1), "ports") == f"VOXMOOD_API_PORT={port} is taken"


def test_an_old_schema_is_named_and_a_file_that_is_no_database_is_a_problem(own_state: Path) -> None:
    own_state.mkdir()
    database = Database(f"sqlite:///{own_state}/voxmood.db")
    upgrade.upgrade(database)
    assert diagnosis(0)["database"][0]["level"] == "ok"
    upgrade.downgrade(database, "-1")
    database.close()
    found = diagnosis(0)["database"][0]
    assert (found["level"], upgrade.head() in found["says"]) == ("warning", True)
    for file in own_state.glob("voxmood.db*"):
        file.unlink()
    (own_state / "voxmood.db").write_text("words " * 1000)
    assert "file is not a database" in problem(diagnosis(1), "database")


@pytest.mark.slow
def test_named_servers_that_do_not_answer_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("VOXMOOD_BROKER_URL", f"redis://:secret@{address}/0")
        monkeypatch.setenv("VOXMOOD_URL", f"http://{address}")
        monkeypatch.setenv("VOXMOOD_DATABASE_URL", f"postgresql+psycopg://me:secret@{address}/voxmood")
        found = diagnosis(1)
    assert problem(found, "queue") == "The server of VOXMOOD_BROKER_URL does not answer"
    assert problem(found, "api") == f"The API at http://{address} does not answer"
    assert "does not answer" in problem(found, "database")
    assert "secret" not in str(found)


def test_packages_that_are_missing_or_old_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["no-such-package>=1", "numpy>=99", 'streamlit>=99; extra == "dev"', "rich"]
    monkeypatch.setattr(metadata, "requires", lambda _: wanted)
    says = problem(diagnosis(1), "packages")
    assert says == f"no-such-package is missing; numpy is {metadata.version('numpy')}, wanted is >=99"


def test_the_packages_that_a_gpu_takes_stand_for_those_that_are_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return real("onnxruntime") if name == "onnxruntime-gpu" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert "onnxruntime-gpu 1." in diagnosis(0)["packages"][0]["says"]


def test_a_gpu_that_is_demanded_and_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("auto", "cpu"):
        monkeypatch.setenv("VOXMOOD_DEVICE", device)
        assert "onnx runs networks on the CPU" in diagnosis(0)["device"][0]["says"]
    monkeypatch.setenv("VOXMOOD_DEVICE", "gpu")
    assert "install onnxruntime-gpu" in problem(diagnosis(1), "device")


def test_a_full_disk_is_a_problem_and_little_room_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**8))
    assert "0.1 GB free" in problem(diagnosis(1), "disk")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**9))
    assert diagnosis(0)["disk"][0]["level"] == "warning"
