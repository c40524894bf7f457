"""docs/backup.md, done in the middle of a job."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.conftest import is_ready
from tests.faults.work import Work, clips, sent
from tests.stacks import Stack
from tests.waiting import wait_for

CLIPS = 1000  # 5 s of work on two cores: time to end the stack before the job ends


def test_a_backup_from_the_middle_of_a_job_is_restored_and_every_clip_has_one_outcome(
    standing: Stack, tmp_path: Path
) -> None:
    if "VOXMOOD_DATABASE_URL" in standing.env:
        pytest.skip("the database is not in the state folder")
    work = sent(standing, clips(CLIPS))
    work.start()
    wait_for(lambda: done(work), 60, "no clip was classified")
    standing.down()
    backup = tmp_path / "voxmood-backup.tar"
    subprocess.run(["tar", "-C", standing.state, "-cf", backup, "."], check=True)
    with closing(sqlite3.connect(standing.state / "voxmood.db")) as database:
        (state,) = database.execute("SELECT state FROM job WHERE id = ?", [work.job]).fetchone()
    assert state == "running", "the job had ended before the backup"
    shutil.rmtree(standing.state)
    standing.state.mkdir(mode=0o700)
    subprocess.run(["tar", "-C", standing.state, "-xpf", backup], check=True)
    standing.up("--workers", "2")
    is_ready(standing)
    work.is_classified()


def done(work: Work) -> int:
    document = work.api.http.get(f"/v1/jobs/{work.job}").json()
    return int(document["counts"]["done"])
