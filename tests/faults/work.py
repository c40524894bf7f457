"""A job under which something breaks, and what must hold at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared.audio.synthesis import unique_clip
from shared.core.settings import Settings
from shared.stack.state import StateFolder
from tests.acceptance.jobs import Api
from tests.archive_builders import zip_of
from tests.faults.invariant import Manifest, every_clip_has_one_outcome
from tests.stacks import Stack
from tests.waiting import ANSWERED

SHARD_CLIPS = 16  # of `own_stack`


@dataclass(frozen=True)
class Work:
    """A job of a stack, and what was put into it."""

    stack: Stack
    api: Api
    job: int
    manifest: Manifest

    def start(self) -> None:
        self.api.start(self.job)

    @property
    def state(self) -> str:
        return str(self.api.http.get(f"/v1/jobs/{self.job}").json()["state"])

    def is_whole(self, limit_s: float = 120) -> list[dict[str, Any]]:
        """The invariant: see tests/faults/invariant.py. Returns the API's rows."""
        return every_clip_has_one_outcome(self.api, self.stack.database_url, self.job, self.manifest, limit_s)

    def is_classified(self, limit_s: float = 120) -> None:
        """The invariant, and no clip failed."""
        assert {row["outcome"] for row in self.is_whole(limit_s)} <= ANSWERED


@lru_cache
def clips(count: int) -> dict[str, bytes]:
    """Small recordings, no two alike."""
    return {f"{number:03d}.wav": unique_clip(number, 0.3) for number in range(count)}


def sent(stack: Stack, members: Mapping[str, bytes]) -> Work:
    """An open job with one archive of these members."""
    api = Api(stack.api_url)
    job = api.create()
    answer = api.http.put(f"/v1/jobs/{job}/uploads/in.zip", content=zip_of(members, 0))
    assert answer.status_code == 201, answer.text
    return Work(stack, api, job, {"in.zip": list(members)})


def settings_of(stack: Stack) -> Settings:
    """Those of the stack's own processes, with the secrets that stack.json masks."""
    record, secrets = stack.record, StateFolder(stack.state).credentials()
    return Settings(
        database_url=record.database_url,
        broker_url=f"redis://:{secrets.queue_password}@127.0.0.1:{record.ports['queue']}/0",
        s3_endpoint=record.s3_endpoint,
        s3_access_key=secrets.s3_access_key,
        s3_secret_key=secrets.s3_secret_key,
    )
