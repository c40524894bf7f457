"""The API as a program sees it: pages, exports, problem documents, health, OpenAPI."""

from __future__ import annotations

import http.client
import json

import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from tests.acceptance.jobs import Api, problem_of
from tests.archive_builders import zip_of

RATE = 16_000


@pytest.fixture(scope="module")
def job(api: Api) -> int:
    """A finished job of 25 clips in two uploads."""
    voices = [wav_bytes(speech_like("happy", RATE, 0.5, seed=n), RATE) for n in range(25)]
    first = zip_of({f"{n:02d}.wav": voices[n] for n in range(20)})
    second = zip_of({f"{n:02d}.wav": voices[n] for n in range(20, 25)})
    return int(api.run({"a.zip": first, "b.zip": second}, name="pages")["id"])


def test_pages_of_any_size_give_the_same_rows_in_archive_order(api: Api, job: int) -> None:
    whole = api.rows(job)
    assert [row["path"] for row in whole] == [f"{n:02d}.wav" for n in range(25)]
    for limit in (1, 7, 25):
        assert api.rows(job, limit) == whole


def test_csv_jsonl_the_view_and_pages_agree(api: Api, job: int, stack) -> None:
    whole = api.rows(job)
    lines = api.http.get(f"/v1/jobs/{job}/export", params={"format": "jsonl"}).text.splitlines()
    assert [json.loads(line) for line in lines] == whole
    exported = api.exported_csv(job)
    columns = [name for name in whole[0] if name != "message"]
    assert list(exported[0]) == columns
    assert columns[:12] == ["path", "outcome", "emotion", "confidence", "threshold", "model_version",
                            "duration_s", "error_code", "error", "upload", "clip_id",
                            "quality"]  # fmt: skip
    assert all(name.startswith("p_") for name in columns[12:])
    for row, text in zip(whole, exported, strict=True):
        assert {name: "" if row[name] is None else str(row[name]) for name in columns} == text
    seen = stack.query("SELECT path, outcome, confidence, clip_id FROM results WHERE job = :job", job=job)
    assert sorted(map(tuple, seen)) == sorted(
        (row["path"], row["outcome"], row["confidence"], row["clip_id"]) for row in whole
    )


def test_a_job_has_counts_rate_and_uploads(api: Api, job: int) -> None:
    document = api.http.get(f"/v1/jobs/{job}").json()
    assert document["name"] == "pages"
    assert document["counts"]["done"] == document["counts"]["clips"] == 25
    assert document["progress"]["fraction"] == 1
    assert document["progress"]["clips_per_s"] > 0
    assert [(upload["name"], upload["state"], upload["clips"]) for upload in document["uploads"]] == [
        ("a.zip", "done", 20), ("b.zip", "done", 5),
    ]  # fmt: skip
    assert document["id"] in [one["id"] for one in api.http.get("/v1/jobs").json()["jobs"]]


def test_jobs_come_by_pages_the_newest_first(api: Api) -> None:
    made = [api.create(name=f"page {n}") for n in range(3)]
    first = api.http.get("/v1/jobs", params={"limit": 2}).json()
    second = api.http.get("/v1/jobs", params={"limit": 2, "before": first["next"]}).json()
    assert [one["id"] for one in first["jobs"] + second["jobs"]][:3] == made[::-1]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "words"),
    [
        ("GET", "/v1/jobs/999999", None, 404, "unknown_job", "There is no job 999999"),
        ("POST", "/v1/jobs/999999/start", None, 404, "unknown_job", "no job 999999"),
        ("GET", "/v1/jobs/999999/results", None, 404, "unknown_job", "no job 999999"),
        ("GET", "/v1/jobs/999999/export", None, 404, "unknown_job", "no job 999999"),
        ("PUT", "/v1/jobs/999999/uploads/a.zip", b"PK", 404, "unknown_job", "no job 999999"),
        ("POST", "/v1/jobs", {"model": "v99"}, 404, "unknown_model", "no model version v99"),
        ("POST", "/v1/jobs", {"model": "../etc"}, 404, "unknown_model", "no model version ../etc"),
        ("POST", "/v1/jobs", {"threshold": 2}, 422, "invalid_request", "threshold"),
        ("GET", "/v1/jobs/0", None, 422, "invalid_request", "job_id"),
        ("GET", "/v1/nothing", None, 404, "http_error", "Not Found"),
        ("DELETE", "/v1/jobs", None, 405, "http_error", "Method Not Allowed"),
    ],
)
def test_wrong_requests_get_problem_documents(
    api: Api, method: str, path: str, body: object, status: int, code: str, words: str
) -> None:
    content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
    found = problem_of(api.http.request(method, path, **content))
    assert found[:2] == (status, code)
    assert words in found[2]


def test_a_wrong_cursor_is_refused(api: Api, job: int) -> None:
    for cursor in ("x", "YTpi", "é"):
        answer = api.http.get(f"/v1/jobs/{job}/results", params={"cursor": cursor})
        assert problem_of(answer)[:2] == (400, "wrong_cursor")


def test_a_job_takes_uploads_and_a_start_only_while_it_is_open(api: Api, job: int) -> None:
    assert problem_of(api.http.put(f"/v1/jobs/{job}/uploads/c.zip", content=b"PK"))[1] == "job_not_open"
    assert problem_of(api.http.post(f"/v1/jobs/{job}/start"))[1] == "job_not_open"
    fresh = api.create()
    assert problem_of(api.http.post(f"/v1/jobs/{fresh}/start"))[1] == "job_without_uploads"


def test_uploads_that_cannot_be_read_are_refused_at_once_and_leave_nothing(api: Api) -> None:
    fresh = api.create()
    for name, body, status, code in (
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(2000), 415, "unknown_archive"),
        ("a.rar", b"Rar!\x1a\x07\x01\x00", 415, "unknown_archive"),
        ("a.zip", b"", 422, "empty_upload"),
    ):
        found = problem_of(api.http.put(f"/v1/jobs/{fresh}/uploads/{name}", content=body))
        assert found[:2] == (status, code)
        assert found[2].startswith(name)
    assert api.http.get(f"/v1/jobs/{fresh}").json()["uploads"] == []


def test_a_second_upload_of_one_name_is_refused(api: Api) -> None:
    fresh = api.create()
    archive = zip_of({"a.wav": b"a"})
    assert api.http.put(f"/v1/jobs/{fresh}/uploads/a.zip", content=archive).status_code == 201
    assert problem_of(api.http.put(f"/v1/jobs/{fresh}/uploads/a.zip", content=archive))[:2] == (
        409,
        "upload_exists",
    )


def test_an_upload_larger_than_the_free_disk_is_refused_before_it_is_sent(api: Api) -> None:
    path = f"/v1/jobs/{api.create()}/uploads/huge.tar"
    server = http.client.HTTPConnection(api.http.base_url.host, api.http.base_url.port, timeout=10)
    server.putrequest("PUT", path)
    server.putheader("Content-Length", str(900 * 2**30))
    server.endheaders()
    answer = server.getresponse()
    body = json.loads(answer.read())
    server.close()
    assert (answer.status, body["code"]) == (507, "store_full")
    assert "Free disk space" in body["detail"]


def test_an_upload_that_breaks_off_is_sent_again_under_its_name(api: Api) -> None:
    fresh = api.create()
    archive = zip_of({"a.wav": wav_bytes(speech_like("calm", RATE, 0.5, seed=7), RATE)})

    def broken():
        yield archive[:600]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        api.http.put(
            f"/v1/jobs/{fresh}/uploads/a.zip", content=broken(), headers={"Content-Length": str(len(archive))}
        )
    assert api.http.put(f"/v1/jobs/{fresh}/uploads/a.zip", content=archive).status_code == 201
    api.start(fresh)
    assert api.wait(fresh)["counts"]["done"] == 1


def test_a_job_s_own_threshold_and_name_are_kept(api: Api) -> None:
    voice = {"a.wav": wav_bytes(speech_like("happy", RATE, 1.5, seed=3), RATE)}
    strict = api.run(voice, threshold=1.0)
    lax = api.run(voice, threshold=0.0)
    assert api.rows(strict["id"])[0]["outcome"] == "rejected"
    assert api.rows(strict["id"])[0]["threshold"] == 1.0
    assert api.rows(strict["id"])[0]["message"].startswith("Low confidence (")
    assert api.rows(lax["id"])[0]["outcome"] == "classified"


def test_health_says_that_all_is_there_and_that_workers_consume(api: Api) -> None:
    assert api.http.get("/health/live").json() == {"live": True}
    body = api.http.get("/health/ready").json()
    assert body["ready"] is True
    assert set(body["consuming"]) == {"classify", "classify.small", "unpack", "unpack.small", "maintenance"}


def test_openapi_documents_every_route(api: Api) -> None:
    paths = api.http.get("/v1/openapi.json").json()["paths"]
    job = "/v1/jobs/{job_id}"
    routes = {f"{job}{rest}" for rest in ("", "/start", "/results", "/export", "/uploads/{name}")}
    assert routes | {"/v1/jobs", "/health/live", "/health/ready"} <= set(paths)
    assert api.http.get("/docs").status_code == 200
