"""`voxmood submit` of folders and over its own death; `cancel`, `retry` and `delete` of jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
import redis

from shared.audio.synthesis import unique_clip
from shared.core.settings import Settings
from shared.stack.state import StateFolder
from shared.store.names import job_prefix
from shared.store.objects import Storage
from tests.acceptance.jobs import Api
from tests.archive_builders import tar_stream, zip_of
from tests.receivers import running_receiver
from tests.stacks import VOXMOOD, Stack
from tests.waiting import wait_for

MEGABYTE = 10**6


def test_a_folder_is_packed_while_it_is_sent(stack: Stack, api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "Tapes of 1987"
    for number in range(3):
        file = folder / f"side {number}" / "voice.wav"
        file.parent.mkdir(parents=True)
        file.write_bytes(unique_clip(number))
    (folder / ".DS_Store").write_bytes(b"litter")
    done = stack.voxmood("submit", str(folder), "--wait")
    assert done.returncode == 0, done.stderr
    rows = api.rows(int(done.stdout))
    assert [row["path"] for row in rows] == [f"side {number}/voice.wav" for number in range(3)]
    assert {row["upload"] for row in rows} == {"Tapes of 1987.tar"}


def test_odd_names_and_links_are_sent_and_a_refused_submit_leaves_no_job(
    stack: Stack, api: Api, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (tmp_path / "blob").write_bytes(unique_clip(71))
    (folder / "voice.wav").symlink_to(tmp_path / "blob")
    (folder / "gone.wav").symlink_to("nowhere")
    odd = tmp_path / os.fsdecode(b"a\xff\nb.wav")
    odd.write_bytes(unique_clip(72))
    done = stack.voxmood("submit", str(folder), str(odd), "--wait")
    assert done.returncode == 0, done.stderr
    rows = {row["path"]: row["error"] for row in api.rows(int(done.stdout))}
    sentence = "gone.wav lies in its archive as a symbolic link to nowhere, not as a plain file."
    assert rows == {"gone.wav": sentence, "voice.wav": None, "a\\xff\\x0ab.wav": None}
    (tmp_path / "in.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(600))
    before = api.http.get("/v1/jobs").json()["jobs"][0]["id"]
    for wrong in ("s3://nowhere/at-all", str(tmp_path / "in.7z")):
        refused = stack.voxmood("submit", wrong)
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
        left = [one for one in api.http.get("/v1/jobs").json()["jobs"] if one["id"] > before]
        assert all(one["state"] == "deleting" for one in left), left
    wrong_name = stack.voxmood("submit", str(odd), "--encoding", "klingon")
    assert wrong_name.returncode == 2


def test_a_webhook_is_told_of_the_job_s_end(stack: Stack, api: Api, tmp_path: Path) -> None:
    clip = tmp_path / "voice.wav"
    clip.write_bytes(unique_clip(1))
    wrong = stack.voxmood("submit", str(clip), "--webhook", "ftp://example.org/")
    assert wrong.returncode == 1
    assert (
        "The webhook address ftp://example.org/ cannot be used: it does not begin with https://"
        in wrong.stderr
    )
    with running_receiver() as receiver:
        receiver.answers = [503]
        done = stack.voxmood("submit", str(clip), "--webhook", receiver.url, "--wait")
        assert done.returncode == 0, done.stderr
        job = int(done.stdout)
        receiver.wait(2, limit_s=60)
    (first, _), (second, body) = receiver.told
    assert first["webhook-id"] == second["webhook-id"]
    told, asked = json.loads(body), api.http.get(f"/v1/jobs/{job}").json()
    assert told["state"] == "done"
    assert told.pop("webhook")["attempts"] == 2
    wait_for(lambda: api.http.get(f"/v1/jobs/{job}").json()["webhook"]["state"] == "delivered")
    asked = api.http.get(f"/v1/jobs/{job}").json()
    assert asked.pop("webhook") == {"url": receiver.url, "state": "delivered", "attempts": 2, "error": None}
    assert told == asked
    logs = "".join(log.read_text() for log in stack.state.glob("logs/*.log"))
    assert "token=1" not in logs, "an address of a webhook may hold a secret"


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(150 * MEGABYTE, id="0.15 GB"),
        pytest.param(1_000 * MEGABYTE, id="1 GB", marks=pytest.mark.long),
    ],
)
def test_a_killed_submit_goes_on_when_it_is_repeated(
    stack: Stack, api: Api, tmp_path: Path, size: int
) -> None:
    archive = tmp_path / f"large {size}.tar"
    with archive.open("wb") as file:
        file.writelines(tar_stream(size))
    submit = [VOXMOOD, "submit", str(archive), "--wait"]
    first = subprocess.Popen(submit, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # At the first part that is stored: on a fast machine the rest follows within half a second.
    received = 0
    while received == 0:
        assert first.poll() is None, f"it ended before it could be killed: {first.communicate()}"
        for job in api.http.get("/v1/jobs", params={"limit": 1}).json()["jobs"]:
            received = sum(upload["bytes"] for upload in job["uploads"] if upload["name"] == archive.name)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    again = stack.voxmood("submit", str(archive), "--wait")
    assert again.returncode == 0, again.stderr
    assert int(again.stdout) == job["id"]
    assert f"Going on with job {job['id']}, which an earlier submit began." in again.stderr, again.stderr
    assert f"Going on with {archive.name} at " in again.stderr, again.stderr
    document = api.http.get(f"/v1/jobs/{job['id']}").json()
    assert document["uploads"][0]["bytes"] == archive.stat().st_size
    assert document["counts"]["failed"] == 0
    assert stack.voxmood("delete", str(job["id"]), "--yes").returncode == 0


def test_a_cancelled_job_is_retried_to_its_end(stack: Stack, api: Api) -> None:
    job = api.create()
    members = {f"{n}.wav": unique_clip(n) for n in range(40)}
    assert api.http.put(f"/v1/jobs/{job}/uploads/in.zip", content=zip_of(members)).status_code == 201
    cancelled = stack.voxmood("cancel", str(job))
    assert cancelled.returncode == 0
    assert f"Job {job} is cancelled" in cancelled.stderr
    again = stack.voxmood("cancel", str(job))
    assert again.returncode == 1
    assert "only a job that is open or running can be cancelled" in again.stderr
    assert stack.voxmood("retry", str(job)).returncode == 0
    assert api.wait(job)["counts"]["done"] == 40


def test_nothing_of_a_deleted_job_is_left(stack: Stack, api: Api) -> None:
    document = api.run({"in.zip": zip_of({f"{n}.wav": unique_clip(n) for n in range(5)})})
    job = document["id"]
    key = stack.query("SELECT key FROM job WHERE id = :job", job=job)[0].key
    assert stack.voxmood("delete", str(job), "--yes").returncode == 0
    wait_for(
        lambda: api.http.get(f"/v1/jobs/{job}").status_code == httpx.codes.NOT_FOUND,
        otherwise="the job is still there",
    )
    for table in ("upload", "shard", "clip", "unit"):
        assert stack.query(f"SELECT count(*) FROM {table} WHERE job_id = :job", job=job) == [(0,)]
    assert stack.query("SELECT count(*) FROM results WHERE job = :job", job=job) == [(0,)]
    orphans = "SELECT count(*) FROM prediction WHERE clip_id NOT IN (SELECT id FROM clip)"
    assert stack.query(orphans) == [(0,)]
    storage = store_of(stack)
    assert [keys for keys in storage.older_than(job_prefix(key), -60) if keys] == []
    password = StateFolder(stack.state).credentials().queue_password
    queue = redis.Redis(port=stack.record.ports["queue"], password=password)
    for name in (name for name in queue.keys("*") if queue.type(name) == b"list"):
        assert not any(f"job {job} ".encode() in message for message in queue.lrange(name, 0, -1))
    assert stack.voxmood("status", str(job)).returncode == 1
    assert stack.voxmood("delete", str(job), "--yes").returncode == 1


def store_of(stack: Stack) -> Storage:
    """The stack's object store."""
    credentials = StateFolder(stack.state).credentials()
    return Storage(
        Settings(
            s3_endpoint=stack.record.s3_endpoint,
            s3_access_key=credentials.s3_access_key,
            s3_secret_key=credentials.s3_secret_key,
        )
    )
