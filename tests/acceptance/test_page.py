"""The page in a real browser: drop a recording or an archive, hear it, see what became of it.

With VOXMOOD_PICTURES=docs/pictures the README's picture is made.
"""

from __future__ import annotations

import http.client
import os
import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from shared.audio.demonstration import demonstration_archive, recordings_of_people
from shared.audio.synthesis import speech_like, wav_bytes
from tests.acceptance.jobs import Api

PICTURES = os.environ.get("VOXMOOD_PICTURES")
RATE = 16_000
LIMIT_MS = 30_000


@pytest.fixture
def voxmood(stack, page: Page) -> Page:
    """The page as it is first seen."""
    page.set_viewport_size({"width": 1000, "height": 900})
    page.goto(stack.record.page_url)
    expect(page.get_by_text("Drop a recording")).to_be_visible(timeout=LIMIT_MS)
    return page


@pytest.fixture(scope="module")
def voices(api: Api) -> dict[str, tuple[str, bytes, dict[str, Any]]]:
    """A recording of each outcome: its name, its bytes, its row in a job of the same recordings."""
    made = {
        f"{emotion} {seed}.wav": wav_bytes(speech_like(emotion, RATE, 3.0, seed=seed), RATE)
        for emotion in ("neutral", "happy", "angry")
        for seed in range(4)
    }
    made["silence.wav"] = wav_bytes(speech_like("calm", RATE, 1.0, seed=0) * 1e-6, RATE, "FLOAT")
    made["actor 19.flac"] = recordings_of_people()["people/angry.flac"]
    made["words.wav"] = b"words, not audio"
    rows = api.rows(api.run(made)["id"])
    return {row["outcome"]: (row["path"], made[row["path"]], row) for row in rows}


def drop(page: Page, name: str, content: bytes) -> None:
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )


def metric(page: Page, label: str) -> str:
    """The figure under this label."""
    box = page.get_by_test_id("stMetric").filter(has_text=re.compile(rf"^{label}"))
    return box.get_by_test_id("stMetricValue").inner_text()


def job_of(page: Page) -> int:
    return int(re.search(r"\?job=(\d+)$", page.url)[1])


@pytest.mark.parametrize(
    ("of", "path", "seen"),
    [("page", "", "Drop a recording"), ("api", "/docs", "/v1/jobs"), ("flower", "", "classify@voxmood")],
)
def test_no_page_asks_another_server(stack, page: Page, of: str, path: str, seen: str) -> None:
    """Neither fonts nor scripts: it works where there is no network, and tells nobody who looks."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(getattr(stack.record, f"{of}_url") + path)
    expect(page.get_by_text(seen).first).to_be_visible(timeout=LIMIT_MS)
    page.wait_for_load_state("networkidle")
    assert asked
    assert {urlsplit(url).hostname for url in asked} - {None} == {urlsplit(stack.record.page_url).hostname}


@pytest.mark.parametrize("outcome", ["classified", "rejected"])
def test_a_recording_can_be_heard_and_its_emotion_is_seen(voxmood: Page, voices, outcome: str) -> None:
    name, content, row = voices[outcome]
    drop(voxmood, name, content)
    expect(voxmood.get_by_role("heading", name=name)).to_be_visible(timeout=LIMIT_MS)
    expect(voxmood.get_by_text("model version")).to_be_visible(timeout=LIMIT_MS)
    assert metric(voxmood, "Emotion") == (row["emotion"] or "rejected")
    assert metric(voxmood, "Confidence") == f"{row['confidence']:.2f}"
    assert metric(voxmood, "Threshold") == f"{row['threshold']:.2f}"
    expect(voxmood.get_by_text(row["message"])).to_have_count(1 if outcome == "rejected" else 0)
    chart = voxmood.get_by_test_id("stVegaLiteChart")
    expect(chart.locator("canvas, svg").first).to_be_visible()
    seconds = """audio => new Promise((resolve, reject) => {
        audio.onerror = () => reject(audio.error.message);
        audio.onloadedmetadata = () => resolve(audio.duration);
        audio.load();
    })"""
    voxmood.reload()
    assert voxmood.locator("audio").evaluate(seconds) == pytest.approx(row["duration_s"], abs=0.1)
    if PICTURES and outcome == "classified":
        voxmood.screenshot(path=Path(PICTURES) / "page.png")


@pytest.mark.parametrize("outcome", ["no_voice", "failed"])
def test_a_recording_without_an_emotion_says_why(voxmood: Page, voices, outcome: str) -> None:
    name, content, row = voices[outcome]
    drop(voxmood, name, content)
    expect(voxmood.get_by_text(row["message"])).to_be_visible(timeout=LIMIT_MS)
    expect(voxmood.get_by_test_id("stMetric")).to_have_count(0)


def test_a_dropped_archive_shows_its_progress_then_its_rows(voxmood: Page, api: Api, tmp_path: Path) -> None:
    archive = tmp_path / "tapes_of *1987*.zip"
    with archive.open("wb") as file:
        demonstration_archive(file, clips=24, seed=7)
    drop(voxmood, archive.name, archive.read_bytes())
    expect(voxmood.get_by_role("heading", name=archive.name)).to_be_visible(timeout=LIMIT_MS)
    expect(voxmood.get_by_role("progressbar")).to_be_visible()
    button = voxmood.get_by_role("button", name="Download all rows")
    expect(button).to_be_visible(timeout=LIMIT_MS)
    counts = api.http.get(f"/v1/jobs/{job_of(voxmood)}").json()["counts"]
    assert counts["done"] == 24
    for outcome in ("classified", "rejected", "no_voice", "failed", "duplicates"):
        assert metric(voxmood, outcome.replace("_", " ")) == str(counts[outcome])
    expect(voxmood.get_by_test_id("stDataFrame")).to_be_visible()
    with voxmood.expect_download() as download:
        button.click()
    exported = api.http.get(f"/v1/jobs/{job_of(voxmood)}/export", params={"format": "csv"}).content
    assert Path(download.value.path()).read_bytes() == BOM_UTF8 + exported  # for Excel

    voxmood.reload()
    expect(button).to_be_visible(timeout=LIMIT_MS)


def test_what_the_server_refuses_is_told_in_its_own_words(voxmood: Page) -> None:
    drop(voxmood, "tapes.7z", b"7z\xbc\xaf\x27\x1c" + bytes(1000))
    expect(voxmood.get_by_role("alert").get_by_text("tapes.7z is ")).to_be_visible(timeout=LIMIT_MS)
    voxmood.goto(f"{voxmood.url.partition('?')[0]}?job=999999")
    expect(voxmood.get_by_role("alert").get_by_text("There is no job 999999.")).to_be_visible(
        timeout=LIMIT_MS
    )


@pytest.mark.parametrize(
    ("foreign", "status"),
    [({}, 101), ({"Host": "evil.example"}, 403), ({"Origin": "http://evil.example"}, 403)],
)
def test_a_web_page_from_elsewhere_cannot_use_it(stack, foreign: dict[str, str], status: int) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    connection = http.client.HTTPConnection(urlsplit(stack.record.page_url).netloc, timeout=10)
    connection.request("GET", "/_stcore/stream", headers=headers | foreign)
    assert connection.getresponse().status == status
    connection.close()
