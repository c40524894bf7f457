"""Jobs, from what is sent to what is deleted."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

import pytest

from voxmood.client import Client
from voxmood.documents import JobDocument
from voxmood.errors import FileMissing, RequestRefused, WaitTimedOut
from voxmood.packing import OpenFile
from voxmood.states import JobState, UploadState
from voxmood.submission import OVERTAKEN, Sent

DIES = """
import os, sys
from voxmood.client import Client

def die(sent):
    if sent.done > 3 * 2**20:
        os._exit(9)

Client().submit(sys.argv[1], on_sent=die)
"""


def test_a_submit_tells_how_far_it_is_and_a_wait_too(client: Client, archive: Path) -> None:
    sent: list[Sent] = []
    seen: list[JobDocument] = []
    begun = client.submit(archive, name="Tapes of 1987", on_sent=sent.append)
    ended = client.wait(begun.id, timeout_s=120, on_progress=seen.append)
    assert (sent[0].done, sent[-1].done, sent[-1].total) == (
        0,
        archive.stat().st_size,
        archive.stat().st_size,
    )
    assert (begun.state, ended.state, seen[-1]) == (JobState.RUNNING, JobState.DONE, ended)
    assert (ended.name, ended.counts.done, ended.counts.failed) == ("Tapes of 1987", 4, 1)
    assert [upload.name for upload in ended.uploads] == ["tapes.zip"]
    assert ended.created_at <= ended.started_at <= ended.ended_at  # type: ignore[operator]


def test_a_folder_is_sent_as_it_is(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "tapes"
    (folder / "b").mkdir(parents=True)
    for name in ("a.txt", "b/c.txt"):
        (folder / name).write_text("no recording")
    ended = client.wait(client.submit(folder).id, timeout_s=120)
    assert [(one.name, one.clips) for one in ended.uploads] == [("tapes.tar", 2)]
    assert [row.path for row in client.results(ended.id)] == ["a.txt", "b/c.txt"]


def test_a_submit_that_was_killed_goes_on_where_it_was(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    path.write_bytes(b"RIFF" + bytes(20 * 2**20))
    died = subprocess.run([sys.executable, "-c", DIES, str(path)], check=False)
    assert died.returncode == 9
    notes: list[str] = []
    job = client.submit(path, on_note=notes.append)
    assert notes[0] == f"Going on with job {job.id}, which an earlier submit began."
    assert [(one.name, one.bytes) for one in job.uploads] == [("large.wav", path.stat().st_size)]
    assert client.submit(path).id != job.id, "a finished submit is done anew"


def test_an_upload_goes_on_from_the_byte_that_the_server_names(client: Client) -> None:
    content = b"RIFF" + bytes(20 * 2**20)
    job, name = client.create_job("by hand").id, "a b/ü.wav"

    class Broken(OpenFile):
        def read(self, start: int):  # type: ignore[no-untyped-def]
            yield content[: 17 * 2**20]
            raise OSError("planted")

    with pytest.raises(OSError, match="planted"):
        client.put_upload(job, name, Broken(io.BytesIO(), len(content)))
    deadline = time.monotonic() + 60
    while True:
        known = client.upload(job, name)
        assert known.state == UploadState.RECEIVING
        try:
            whole = client.put_upload(job, name, OpenFile(io.BytesIO(content), len(content)), known.bytes)
        except RequestRefused as refused:  # it was still storing what had come, and names another byte now
            assert refused.reason in OVERTAKEN
            assert time.monotonic() < deadline
        else:
            break
    assert (whole.state, whole.bytes) == (UploadState.PENDING, len(content))


def test_a_job_is_listed_cancelled_run_again_and_deleted(client: Client, archive: Path) -> None:
    job = client.create_job("short", threshold=0.5, idempotency_key=f"key of {archive}")
    same = client.create_job("short", threshold=0.5, idempotency_key=f"key of {archive}")
    assert (job.id, job.threshold) == (same.id, 0.5)
    assert next(client.jobs()).id >= job.id
    listed = [one.id for one in client.jobs(page_rows=1)]
    assert job.id in listed
    assert listed == sorted(set(listed), reverse=True)
    with pytest.raises(RequestRefused, match="has no upload yet") as refused:
        client.start(job.id)
    assert (refused.value.reason, refused.value.http_status) == ("job_without_uploads", 409)
    with archive.open("rb") as file:
        client.put_upload(job.id, "tapes.zip", OpenFile(file, archive.stat().st_size))
    client.start(job.id)
    client.wait(job.id, timeout_s=120)
    assert client.retry(job.id).state == JobState.RUNNING
    client.wait(job.id, timeout_s=120)
    assert client.reclassify(job.id, "seed-v6").state == JobState.RUNNING
    assert client.wait(job.id, timeout_s=120).model_version != "seed-v6"
    assert {row.model_version for row in client.results(job.id, model="seed-v6")} == {"seed-v6"}
    with pytest.raises(RequestRefused, match="can be cancelled"):
        client.cancel(job.id)
    assert client.delete(job.id).state == JobState.DELETING


def test_an_open_job_is_cancelled(client: Client) -> None:
    assert client.cancel(client.create_job().id).state == JobState.CANCELLED


def test_a_wait_that_is_too_short_says_how_to_go_on(client: Client) -> None:
    job = client.create_job().id
    with pytest.raises(WaitTimedOut, match=f"Job {job} is still open after 0 s"):
        client.wait(job, timeout_s=0)


def test_what_does_not_exist_is_said_before_a_job_is_begun(client: Client, tmp_path: Path) -> None:
    newest = next(client.jobs()).id
    with pytest.raises(FileMissing, match="does not exist"):
        client.submit(tmp_path / "gone.zip")
    assert next(client.jobs()).id == newest


def test_a_source_that_may_not_be_read_is_refused_and_leaves_no_job(client: Client) -> None:
    with pytest.raises(RequestRefused, match="VOXMOOD_SOURCE_BUCKETS") as refused:
        client.submit("s3://elsewhere/tapes/")
    assert refused.value.reason == "source_refused"
    with pytest.raises(RequestRefused, match="has no public address"):
        client.upload_form(client.create_job().id, "a.wav", 9)
