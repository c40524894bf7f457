"""The state folder: one supervisor at a time, files that are whole, secrets for the owner alone."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared.core.errors.stack import AlreadyRunning, DiskFull, StateUnusable
from shared.stack import state
from shared.stack.state import Record, StateFolder


def record(folder: StateFolder, **facts: object) -> Record:
    addresses = dict.fromkeys(("docs_url", "flower_url", "database_url", "broker_url", "s3_endpoint"), "x")
    return Record(
        **{
            "state_dir": str(folder.path),
            "api_url": "http://here",
            "logs": "x",
            "workers": 1,
            **addresses,
            **facts,
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state")
    made.make()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_enter(folder: StateFolder) -> None:
    assert mode(folder.path) == 0o700


def test_the_credentials_are_random_kept_and_the_owners_alone(folder: StateFolder, tmp_path: Path) -> None:
    made = folder.credentials()
    assert StateFolder(folder.path).credentials() == made
    assert mode(folder.path / "credentials.json") == 0o600
    other = StateFolder(tmp_path / "other")
    other.make()
    assert other.credentials().s3_secret_key != made.s3_secret_key
    assert len(made.queue_password) == 64


def test_a_second_supervisor_is_refused_with_the_address_of_the_first(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LOCK_WAIT_S", 0.1)
    folder.lock()
    folder.write(record(folder, supervisor={"pid": 77, "start_time": 1}))
    with pytest.raises(AlreadyRunning, match=r"http://here \(process 77\)"):
        StateFolder(folder.path).lock()
    assert StateFolder(folder.path).held()
    folder.unlock()
    assert not StateFolder(folder.path).held()
    StateFolder(folder.path).lock()


def test_the_lock_ends_with_its_process(folder: StateFolder) -> None:
    program = (
        "import sys, time; from pathlib import Path; from shared.stack.state import StateFolder;"
        "folder = StateFolder(Path(sys.argv[1])); folder.lock(); print('held', flush=True); time.sleep(100)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(folder.path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert folder.held()
    holder.kill()
    holder.communicate()
    assert not folder.held()


def test_a_folder_that_does_not_exist_is_held_by_nobody(tmp_path: Path) -> None:
    assert not StateFolder(tmp_path / "none").held()
    assert not (tmp_path / "none").exists()


def test_the_record_is_read_as_it_was_written(folder: StateFolder) -> None:
    assert folder.record() is None
    children = {"api": {"pid": 5, "start_time": 6, "restarts": 7}}
    written = record(folder, ports={"api": 8000}, children=children)
    folder.write(written)
    assert folder.record() == written
    assert mode(folder.path / "stack.json") == 0o600
    assert not list(folder.path.glob(".partial-*"))


def test_a_damaged_record_counts_as_none(folder: StateFolder) -> None:
    (folder.path / "stack.json").write_text('{"state_dir": ')
    assert folder.record() is None


def test_too_little_room_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "NEEDED_BYTES", shutil.disk_usage(tmp_path).total * 2)
    with pytest.raises(DiskFull, match="MB free; voxmood needs at least"):
        StateFolder(tmp_path / "state").make()


def test_a_state_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnusable, match="file/state cannot be the state folder: Not a directory"):
        StateFolder(tmp_path / "file" / "state").make()


def test_a_process_is_alive_until_it_ends(folder: StateFolder) -> None:
    process = subprocess.Popen(["sleep", "100"])
    identity = state.Identity(pid=process.pid, start_time=state.start_time(process.pid))
    assert identity.alive()
    assert not state.Identity(pid=process.pid, start_time=identity.start_time + 1).alive()
    os.kill(process.pid, 9)
    process.wait()
    assert not identity.alive()
