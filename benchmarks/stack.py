"""A `voxmood up` for each measurement, and requests to it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from shared.core.settings import Settings
from shared.stack.state import Record, StateFolder
from voxmood.client import Client
from voxmood.packing import FileToSend
from voxmood.states import ENDED

ALONE = 10  # clips sent to the idle stack, one at a time
BESIDE = 5  # clips sent while a large job runs; the slowest counts
# Each look at a job costs the API some 5 ms of the cores that are measured; its end has a time of its own.
LOOK_AT_JOB_S = 0.5
LOOK_FOR_ROW_S = 0.005
PAUSE_S = 0.5  # after a clip, so that the next one finds the stack idle
ROW_LIMIT_S = 120.0
SECONDS_A_CLIP = 0.25  # more than this, 50 times what it should take, and the job counts as stuck
HANDED_ON = ("models_dir", "trained_dir", "champion", "runtime", "device", "batch_clips")
MEGABYTE = 10**6


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack and a client of it.

    Attributes:
        record: where it answers.
        client: of its API.
    """

    record: Record
    client: Client

    def send(self, archive: Path) -> tuple[int, float]:
        """Send an archive as a job and start it.

        Returns:
            The job's id, and when its first byte was sent.
        """
        job = self.client.create_job(archive.name).id
        began = time.time()
        self.client.put_upload(job, archive.name, FileToSend(archive))
        self.client.start(job)
        return job, began

    def end_of(self, job: int, clips: int) -> float:
        """Wait for the end of a job.

        Args:
            job: its id.
            clips: how many must have been classified.

        Returns:
            When it ended, by the database's clock; so it need not be looked at often.
        """
        deadline = time.monotonic() + ROW_LIMIT_S + clips * SECONDS_A_CLIP
        while (document := self.client.job(job)).state not in ENDED:
            if time.monotonic() > deadline:
                raise SystemExit(f"Job {job} does not end: {document.counts}")
            time.sleep(LOOK_AT_JOB_S)
        counts = document.counts
        classified = counts.done - counts.failed - counts.duplicates
        if document.state != "done" or classified != clips:
            raise SystemExit(f"Of {clips} clips not all were heard: {document.state}, {counts}")
        return (document.ended_at or datetime.now(UTC)).timestamp()

    def rate(self, archive: Path, clips: int) -> float:
        """Clips a second, from the first byte sent to the last row."""
        job, began = self.send(archive)
        return clips / (self.end_of(job, clips) - began)

    def seconds_to_row(self, recording: Path) -> float:
        """Send one recording as a job of its own, and wait for its row.

        The row is asked for every 5 ms on one kept connection.

        Returns:
            Seconds from the first byte sent.
        """
        job, began = self.send(recording)
        while next(self.client.results(job, page_rows=1), None) is None:
            if time.time() - began > ROW_LIMIT_S:
                raise SystemExit(f"Job {job}, a single clip, has no row.")
            time.sleep(LOOK_FOR_ROW_S)
        return time.time() - began

    def alone(self, recording: Path) -> float:
        """The median time of one clip on the idle stack, in seconds."""
        waits = []
        for _ in range(ALONE):
            time.sleep(PAUSE_S)
            waits.append(self.seconds_to_row(recording))
        return statistics.median(waits)

    def beside(self, archive: Path, clips: int, recording: Path) -> tuple[float, float]:
        """The rate of a large job, and the slowest of some clips that are sent beside it one after another.

        Args:
            archive: of the large job.
            clips: in it.
            recording: that is sent beside it.

        Returns:
            Clips a second, and seconds.
        """
        job, began = self.send(archive)
        while not (document := self.client.job(job)).counts.done and document.state == "running":
            time.sleep(LOOK_FOR_ROW_S)
        waits = [self.seconds_to_row(recording)]
        while len(waits) < BESIDE and self.client.job(job).state not in ENDED:
            waits.append(self.seconds_to_row(recording))
        return clips / (self.end_of(job, clips) - began), max(waits)

    def memory(self) -> dict[str, float]:
        """Megabytes, resident and proportional, of the API and of the largest child that classifies."""
        children = self.record.children
        serving = psutil.Process(children["classify"].pid).children()
        found: dict[str, float] = {}
        for name, some in (("worker", serving), ("api", [psutil.Process(children["api"].pid)])):
            memories = [process.memory_full_info() for process in some]
            found[f"{name}_mb"] = max(memory.rss for memory in memories) / MEGABYTE
            found[f"{name}_proportional_mb"] = max(memory.pss for memory in memories) / MEGABYTE
        return found

    def processor_s(self) -> dict[str, float]:
        """Seconds of processor time that each program has taken until now, with all its children."""
        found: dict[str, float] = {}
        for name, child in self.record.children.items():
            try:
                process = psutil.Process(child.pid)
                family = [process, *process.children(recursive=True)]
                found[name] = sum(sum(one.cpu_times()[:4]) for one in family)  # 2 and 3: of those that ended
            except psutil.NoSuchProcess:
                continue  # one that has done its work, as the migrations
        return found


def environment(state: Path) -> dict[str, str]:
    """The environment of `voxmood`: its folder, and those of our settings that decide on models.

    Any other VOXMOOD_… would lead to the user's own database, queue or store.
    """
    settings = Settings()
    variables = {name: value for name, value in os.environ.items() if not name.startswith("VOXMOOD_")}
    for name in HANDED_ON:
        if (value := getattr(settings, name)) is not None:
            variables[f"VOXMOOD_{name.upper()}"] = str(value)
    return variables | {"VOXMOOD_STATE": str(state)}


def voxmood(arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """Run the `voxmood` command; where it fails, it has said why."""
    command = [str(Path(sys.executable).with_name("voxmood")), *arguments]
    if subprocess.run(command, env=variables, check=False, stdout=subprocess.DEVNULL).returncode:
        raise SystemExit(f"voxmood {arguments[0]} failed.")


@contextmanager
def running_stack(state: Path, workers: int) -> Iterator[Stack]:
    """`voxmood up` on a state folder of its own; `voxmood down` whatever happens."""
    variables = environment(state)
    try:
        voxmood(["up", "--detach", "--workers", str(workers)], variables)
        record = StateFolder(state).record()
        assert record is not None, "a stack that is up has a record"
        with Client(record.api_url) as client:
            yield Stack(record, client)
    finally:
        if StateFolder(state).held():
            voxmood(["down"], variables)
