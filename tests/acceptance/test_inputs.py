"""Each kind of archive and recording gets the outcome, code and sentence that docs/inputs.md says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from tests.acceptance.jobs import Api
from tests.acceptance.memory import MemoryWatch
from tests.archive_builders import tar_of, zip_of
from tests.audio_builders import chunk, format_chunk, pcm16, riff
from tests.inputs.recordings import LINKS, MEMBERS, RECORDINGS, Outcome
from tests.inputs.uploads import UPLOADS
from tests.stacks import Stack
from tests.waiting import ANSWERED

CONTENTS = RECORDINGS | MEMBERS


@pytest.fixture(scope="module")
def rows(api: Api) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of a job with all recordings in a zip and, with links, in a tar, by upload and path."""
    contents = {path: row.content() for path, row in CONTENTS.items()}
    tar = b"".join(link.content() for link in LINKS.values()) + tar_of(contents)
    document = api.run({"all.zip": zip_of(contents), "all.tar": tar})
    assert document["state"] == "done"
    assert [upload["error"] for upload in document["uploads"]] == [None, None]
    found = api.rows(document["id"])
    assert [(row["upload"], row["path"]) for row in found] == [
        *(("all.zip", path) for path in CONTENTS), *(("all.tar", path) for path in [*LINKS, *CONTENTS])
    ]  # fmt: skip
    return {(row["upload"], row["path"]): row for row in found}


@pytest.mark.parametrize("path", CONTENTS | LINKS)
def test_every_recording_has_the_outcome_code_and_sentence_of_its_kind(rows, path: str) -> None:
    expected = (CONTENTS | LINKS)[path]
    met = [row for (_, its_path), row in rows.items() if its_path == path]
    assert len(met) == (1 if path in LINKS else 2)
    for row in met:
        check(row, expected)


def check(row: dict[str, Any], expected: Outcome) -> None:
    if expected.outcome is None:
        assert row["outcome"] in ("classified", "rejected"), row
        assert 0 < row["confidence"] <= 1
        assert (row["emotion"] is not None) == (row["outcome"] == "classified")
        assert (row["error_code"], row["error"]) == (expected.code, expected.sentence)
        return
    assert (row["outcome"], row["error_code"]) == (expected.outcome, expected.code)
    assert row["message"] == expected.sentence
    assert row["error"] == (expected.sentence if expected.outcome == "failed" else None)


@pytest.fixture(scope="module")
def job(api: Api) -> dict[str, Any]:
    """A job with all uploads that are not refused."""
    return api.run({name: row.content() for name, row in UPLOADS.items() if row.state != "refused"})


@pytest.fixture(scope="module")
def rows_of_uploads(api: Api, job: dict[str, Any]) -> dict[str, dict[str, str | None]]:
    """Codes by path, by upload."""
    found: dict[str, dict[str, str | None]] = {upload["name"]: {} for upload in job["uploads"]}
    for row in api.rows(job["id"]):
        found[row["upload"]][row["path"]] = row["error_code"]
    return found


@pytest.mark.parametrize("name", UPLOADS)
def test_every_upload_ends_as_its_kind_does(
    api: Api, job: dict[str, Any], rows_of_uploads: dict[str, dict[str, str | None]], name: str
) -> None:
    expected = UPLOADS[name]
    if expected.state == "refused":
        answer = api.http.put(f"/v1/jobs/{api.create()}/uploads/{name}", content=expected.content())
        assert answer.status_code in (415, 422)
        assert (answer.json()["code"], answer.json()["detail"]) == (expected.code, expected.sentence)
        return
    upload = next(upload for upload in job["uploads"] if upload["name"] == name)
    assert (upload["state"], upload["error_code"], upload["error"]) == (
        expected.state, expected.code, expected.sentence,
    )  # fmt: skip
    assert list(rows_of_uploads[name].items()) == list(expected.rows.items())


def test_a_job_without_any_recording_is_failed(api: Api) -> None:
    document = api.run({"empty.zip": UPLOADS["empty.zip"].content()})
    assert document["state"] == "failed"
    assert api.rows(document["id"]) == []


def test_duplicates_are_computed_once_and_reported_for_every_path(api: Api) -> None:
    voice = wav_bytes(speech_like("happy", 16_000, 1.0, seed=4), 16_000)
    broken = b"no audio at all"
    members = {"a.wav": voice, "b.wav": voice, "c.txt": broken, "d.txt": broken}
    document = api.run({"twins.zip": zip_of(members)})
    rows = {row["path"]: row for row in api.rows(document["id"])}
    assert rows["a.wav"]["confidence"] == rows["b.wav"]["confidence"]
    assert rows["d.txt"]["error"].startswith("d.txt is a text file")
    assert document["counts"]["duplicates"] == 2
    assert document["counts"]["done"] == 4


FIVE_MINUTES_S, THREE_HOURS_S = 300, 3 * 3600


def three_hours() -> Iterator[bytes]:
    """A WAV file of 1.04 GB, 48 kHz mono, made as it is sent."""
    ten_seconds = pcm16(speech_like("angry", 48_000, 10.0, seed=6))
    size = THREE_HOURS_S // 10 * len(ten_seconds)
    yield riff(format_chunk(48_000), chunk(b"data", b"", size), size=size + 36)
    yield from itertools.repeat(ten_seconds, THREE_HOURS_S // 10)


@pytest.mark.long
def test_a_recording_of_three_hours_passes_with_constant_memory(new_stack) -> None:
    with new_stack("--workers", "1") as stack:
        api = Api(stack.api_url)
        # Five minutes fill the batches of 32 windows, as three hours do.
        short = peak_of_a_recording(api, stack, itertools.islice(three_hours(), 1 + FIVE_MINUTES_S // 10))
        long = peak_of_a_recording(api, stack, three_hours())
    print({kind: f"{short[kind] / 1e6:.0f} → {most / 1e6:.0f} MB" for kind, most in long.items()})
    for kind in ("api", "worker"):
        assert long[kind] - short[kind] < 100 * 10**6


def peak_of_a_recording(api: Api, stack: Stack, content: Iterator[bytes]) -> dict[str, int]:
    """Send one loose recording; the most memory of the API and of any worker until its row is there."""
    watch = MemoryWatch(stack.record.supervisor.pid)
    watch.start()
    job = api.create()
    assert api.http.put(f"/v1/jobs/{job}/uploads/a.wav", content=content, timeout=None).status_code == 201
    api.start(job)
    api.wait(job, 600)
    watch.ended.set()
    watch.join()
    (row,) = api.rows(job)
    assert row["outcome"] in ANSWERED, row
    assert row["duration_s"] in (FIVE_MINUTES_S, THREE_HOURS_S)
    return dict(watch.most)
