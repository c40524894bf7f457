"""The steady load: jobs of mixed sizes, some cancelled, retried, deleted or classified under another version.

The client is patient as a user's program should be: it asks again whatever did not answer, and creates
each job under an Idempotency-Key. What it sent is the manifest against which `check` holds the outcomes.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from tests.acceptance.jobs import Api
from tests.faults.invariant import every_clip_has_one_outcome
from tests.soak.recordings import Maker, Upload
from tests.stacks import Stack

PATIENCE_S = 300.0
LOOK_EVERY_S = 0.5
SMALL_JOBS = 3  # at once, beside the large one
SIZES = (1, 8, 40, 150, 400)
FATES = {"plain": 6, "cancelled": 1, "retried": 1, "deleted": 1, "reclassified": 1}
ENDED = ("done", "failed", "cancelled")


@dataclass
class Job:
    """A job as its sender knows it. `fate`: what is done to it besides waiting; `over`: nothing is left."""

    id: int
    fate: str
    manifest: dict[str, list[str]]
    large: bool
    over: bool = False
    fate_done: bool = False

    @property
    def clips(self) -> int:
        return sum(map(len, self.manifest.values()))


@dataclass
class Account:
    """What became of all jobs. Clips of deleted jobs count as sent, not as expected."""

    jobs: Counter[str] = field(default_factory=Counter)
    clips: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)


class Load(threading.Thread):
    """Keeps `SMALL_JOBS` and one large job running until `ended` is set."""

    def __init__(self, stack: Stack, chance: random.Random, large_clips: int, other_version: str) -> None:
        super().__init__(daemon=True)
        self.api = Api(stack.api_url)
        self.jobs: list[Job] = []
        self.ended = threading.Event()
        self.failure: str | None = None
        self._chance = chance
        self._maker = Maker(chance)
        self._large_clips = large_clips
        self._other_version = other_version

    @property
    def large_runs(self) -> bool:
        """Whether the large job is under way."""
        return any(job.large and not job.over for job in self.jobs)

    @property
    def large_jobs_over(self) -> int:
        """Large jobs that have ended."""
        return sum(job.large and job.over for job in self.jobs)

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                self._look()
                if not self.large_runs:
                    self._send("plain", [self._maker.sound(self._large_clips)], large=True)
                if sum(not job.over and not job.large for job in self.jobs) < SMALL_JOBS:
                    fate = self._chance.choices(list(FATES), list(FATES.values()))[0]
                    self._send(fate, self._uploads(self._chance.choice(SIZES)))
                self.ended.wait(LOOK_EVERY_S)
        except Exception:
            self.failure = traceback.format_exc()

    def finish(self, limit_s: float) -> None:
        """Send nothing more; wait until every job has met its fate and ended, or `limit_s` have passed."""
        self.ended.set()
        self.join()
        deadline = time.monotonic() + limit_s
        while not all(job.over for job in self.jobs) and time.monotonic() < deadline:
            self._look()
            time.sleep(LOOK_EVERY_S)

    def _uploads(self, clips: int) -> list[Upload]:
        kind = self._chance.choice(["sound", "sound", "odd", "truncated", "litter"])
        if kind == "litter":
            return [self._maker.sound(clips), self._maker.litter()]
        make = {"sound": self._maker.sound, "odd": self._maker.odd, "truncated": self._maker.truncated}
        return [make[kind](clips)]

    def _send(self, fate: str, uploads: list[Upload], large: bool = False) -> None:
        key = str(UUID(int=self._chance.getrandbits(128)))
        made = self._ask("POST", "/v1/jobs", json={"name": fate}, headers={"Idempotency-Key": key})
        job = int(made.json()["id"])
        for upload in uploads:
            self._ask("PUT", f"/v1/jobs/{job}/uploads/{upload.name}", content=upload.body, accept={409})
        # From here on all of it is promised: the last upload was acknowledged.
        self.jobs.append(Job(job, fate, {upload.name: upload.paths for upload in uploads}, large))
        self._ask("POST", f"/v1/jobs/{job}/start", accept={409})

    def _ask(self, method: str, path: str, accept: set[int] | None = None, **request: Any) -> httpx.Response:
        """Ask until there is an answer that is no server's failure. 409 after a lost answer: it was done."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            reason = ""
            try:
                answer = self.api.http.request(method, path, **request)
            except httpx.TransportError as error:
                reason = repr(error)
            else:
                if answer.is_success or answer.status_code in (accept or set()):
                    return answer
                reason = f"{answer.status_code} {answer.text}"
                assert answer.is_server_error, f"{method} {path}: {reason}"
            assert time.monotonic() < deadline, f"{method} {path} failed for {PATIENCE_S:.0f} s: {reason}"
            time.sleep(0.3)

    def _look(self) -> None:
        for job in self.jobs:
            if not job.over:
                answer = self._ask("GET", f"/v1/jobs/{job.id}", accept={404})
                if answer.status_code == httpx.codes.NOT_FOUND:
                    assert job.fate == "deleted" and job.fate_done, f"job {job.id} has vanished"
                    job.over = True
                else:
                    self._advance(job, answer.json())

    def _advance(self, job: Job, document: dict[str, Any]) -> None:
        """Do to it what its fate says, when its moment has come."""
        path, state = f"/v1/jobs/{job.id}", document["state"]
        ended, begun = state in ENDED, document["counts"]["done"] > 0
        if job.fate_done or job.fate == "plain":
            # A cancel whose answer was lost may have come after our look: what is cancelled is retried.
            if state == "cancelled":
                self._ask("POST", f"{path}/retry", accept={409})
            elif ended:
                job.over = job.fate != "deleted"
            return
        if job.fate == "deleted" and (begun or ended):
            self._ask("DELETE", path, accept={404})
        elif job.fate == "cancelled" and (begun or ended):
            self._ask("POST", f"{path}/cancel", accept={409})
        elif job.fate == "retried" and ended:
            self._ask("POST", f"{path}/retry", accept={409})
        elif job.fate == "reclassified" and ended:
            self._ask("POST", f"{path}/reclassify", json={"model": self._other_version}, accept={409})
        else:
            return
        job.fate_done = True

    def check(self, stack: Stack) -> Account:
        """Hold every job against what was sent. Call it when nothing is killed any more."""
        account = Account()
        for job in self.jobs:
            account.jobs[job.fate] += 1
            account.clips += job.clips
            if job.fate == "deleted":
                self._check_deleted(stack, job, account)
                continue
            versions = [None, self._other_version] if job.fate == "reclassified" else [None]
            for version in versions:
                self._compare(job, version, account)
            try:
                every_clip_has_one_outcome(self.api, stack.database_url, job.id, job.manifest, limit_s=1)
            except AssertionError as error:
                account.wrong.append(f"job {job.id} ({job.fate}): {error}")
        return account

    def _compare(self, job: Job, version: str | None, account: Account) -> None:
        known = Counter((name, path) for name, paths in job.manifest.items() for path in paths)
        seen: Counter[tuple[str, str]] = Counter()
        params: dict[str, Any] = {"limit": 1000} | ({"model": version} if version else {})
        while True:
            page = self._ask("GET", f"/v1/jobs/{job.id}/results", params=params).json()
            seen.update((row["upload"], row["path"]) for row in page["results"])
            if page["next"] is None:
                break
            params["cursor"] = page["next"]
        account.lost += (known - seen).total()
        account.doubled += (seen - known).total()

    def _check_deleted(self, stack: Stack, job: Job, account: Account) -> None:
        for table in ("upload", "shard", "clip", "unit", "prediction"):
            statement = f"SELECT count(*) FROM {table} WHERE job_id = :job"
            if left := stack.query(statement, job=job.id)[0][0]:
                account.wrong.append(f"job {job.id} was deleted, and {left} rows of {table} are left")
