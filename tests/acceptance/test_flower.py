"""Flower tells a person which job and shard each task was, and what became of it.

With VOXMOOD_PICTURES=docs/pictures it makes the picture of the README.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from shared.audio.synthesis import demonstration_archive

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def page() -> Iterator[Page]:
    """An empty page in a headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on PATH (chromium, chromium-browser or google-chrome)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_page(viewport={"width": 1760, "height": 580})
        browser.close()


def test_flower_shows_the_tasks_of_each_job_with_their_job_shard_and_outcome(stack, page, tmp_path):
    jobs = []
    for seed in range(3):
        archive = tmp_path / f"session-{seed + 1}.zip"
        with archive.open("wb") as file:
            demonstration_archive(file, clips=24, seed=seed)
        jobs.append((archive.name, stack.voxmood("submit", str(archive), "--wait").stdout.strip()))

    tasks = page.locator("#tasks-table tr")
    # A worker tells Flower that a task has ended after the job has; the page does not refresh itself.
    for _ in range(20):
        page.goto(f"{stack.flower_url}/tasks")
        with suppress(AssertionError):
            expect(tasks.filter(has_text=f"job {jobs[-1][1]} · shard")).to_contain_text(
                "SUCCESS", timeout=500
            )
            break
    for name, job in jobs:
        unpacked = tasks.filter(has_text=f"job {job} · upload {name}")
        expect(unpacked).to_contain_text("SUCCESS")
        expect(unpacked).to_contain_text("24 recordings")
        classified = tasks.filter(has_text=f"job {job} · shard 1 of 1")
        expect(classified).to_contain_text("SUCCESS")
        expect(classified).to_contain_text("24 clips: ")

    if pictures := os.environ.get("VOXMOOD_PICTURES"):
        page.screenshot(path=Path(pictures) / "flower.png")
