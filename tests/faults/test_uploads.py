"""The API is killed inside an upload: the client goes on where it was acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.audio.synthesis import speech_like, wav_bytes
from tests.acceptance.jobs import Api
from tests.archive_builders import zip_of
from tests.faults.invariant import every_clip_has_one_outcome
from tests.faults.planting import Planted
from tests.faults.work import clips
from tests.stacks import Stack


@pytest.mark.parametrize("step", ["store.after_part", "api.after_row"])
def test_an_upload_goes_on_after_the_api_was_killed(
    standing: Stack, planted: Planted, step: str, tmp_path: Path
) -> None:
    """Three parts of 8 MB; the first is in the store, and its row is missing, or there."""
    long = {f"{seed}.wav": wav_bytes(speech_like("calm", 48_000, 90.0, seed), 48_000) for seed in (1, 2)}
    members = clips(32) | long
    archive = tmp_path / "in.zip"
    archive.write_bytes(zip_of(members, 0))
    assert archive.stat().st_size > 16 * 2**20
    planted.arm(step)
    done = standing.voxmood("submit", str(archive), "--wait", timeout=120)
    planted.struck(step, 0)
    assert done.returncode == 0, done.stderr
    assert "The connection broke. Trying again in 1 s." in done.stderr
    manifest = {"in.zip": list(members)}
    every_clip_has_one_outcome(Api(standing.api_url), standing.database_url, int(done.stdout), manifest)
