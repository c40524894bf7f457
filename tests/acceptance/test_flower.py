"""What a person sees: the demonstration in the terminal, and in Flower which job and shard each task was.

With VOXMOOD_PICTURES=docs/pictures the tests make the README's pictures.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import expect
from rich.console import Console
from rich.text import Text

from shared.audio.demonstration import demonstration_archive

PICTURES = os.environ.get("VOXMOOD_PICTURES")


def test_flower_shows_the_tasks_of_each_job_with_their_job_shard_and_outcome(stack, page, tmp_path):
    jobs = []
    for seed in range(3):
        archive = tmp_path / f"session-{seed + 1}.zip"
        with archive.open("wb") as file:
            demonstration_archive(file, clips=24, seed=seed)
        done = stack.voxmood("submit", str(archive), "--wait")
        assert done.returncode == 0, done.stderr
        jobs.append((archive.name, done.stdout.strip()))

    tasks = page.locator("#tasks-table tr", has_text="SUCCESS")
    # The sweep may ring a second time: then there is a task more, that found nothing to do.
    classified = {
        job: tasks.filter(has_text=f"job {job} · shard 1 of 1").filter(has_text="24 clips: ")
        for _, job in jobs
    }
    # A worker tells Flower that a task has ended after the job has; the page does not refresh itself.
    for _ in range(20):
        page.goto(f"{stack.flower_url}/tasks")
        with suppress(AssertionError):
            expect(classified[jobs[-1][1]]).to_have_count(1, timeout=500)
            break
    for name, job in jobs:
        unpacked = tasks.filter(has_text=f"job {job} · upload {name}")
        expect(unpacked.filter(has_text="24 recordings")).to_have_count(1)
        expect(classified[job]).to_have_count(1)
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / "flower.png")


def test_the_demonstration_shows_what_became_of_each_recording(stack, request):
    colours = {"FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": "120"}
    pipes = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = stack.voxmood("demo", env=stack.env | colours, **pipes)
    said = Text.from_ansi(done.stdout)
    assert done.returncode == 0, said.plain
    assert "24 clips (4 classified, " in said.plain
    for outcome in ("rejected", "no_voice", "failed"):  # the champion is sure of no synthesised voice
        assert f" {outcome} " in said.plain
    for name, emotion in (
        ("angry", "angry"),
        ("happy", "happy"),
        ("sad", "sad"),
    ):
        assert re.search(rf"^people/{name}\.flac +classified +{emotion} ", said.plain, re.MULTILINE)
    for path in ("phone/take 01.wav", "studio/süd/take 04.flac", "odd/text.wav"):
        assert f"\n{path} " in said.plain
    if PICTURES:
        console = Console(record=True, width=120, file=io.StringIO())
        console.print(said)
        page = request.getfixturevalue("page")
        page.set_content(console.export_svg(title="voxmood demo"))
        page.locator("svg").screenshot(path=Path(PICTURES) / "run.png")
