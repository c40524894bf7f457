"""A job end to end, through the real stack as a user has it (`python -m benchmarks.flow`).

An archive is sent over HTTP to a `voxmood up` of its own, unpacked, classified and written to the database;
measured is the time from the first byte sent to the last row. It is held against the floor of
benchmarks.floor: the same clips on the same cores, by processes that do nothing else. The sender runs on
these cores too. Nothing here wants company: other work on the machine is measured with it.

VOXMOOD_CHAMPION and the other settings of models hold for the stack and the floor alike.
"""

from __future__ import annotations

import json as json_module
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.command import run
from benchmarks.floor import archive_of, floor, members
from infra.stack.state import Record, StateFolder
from shared.client import Client
from shared.packing import FileToSend
from shared.settings import Settings

WORKERS = (1, 2)
REPEATS = 3  # of each rate; its median counts. The largest archive is sent once.
ALONE = 10  # clips sent to the idle stack, one at a time
BESIDE = 5  # clips sent while a large job runs; the slowest counts
STARTS = 5  # of `voxmood classify`
# Each look at a job costs the API some 5 ms of the cores that are measured; its end has a time of its own.
LOOK_AT_JOB_S = 0.5
LOOK_FOR_ROW_S = 0.005
PAUSE_S = 0.5  # after a clip, so that the next one finds the stack idle
ROW_LIMIT_S = 120.0
SECONDS_A_CLIP = 0.25  # more than this, 50 times what it should take, and the job counts as stuck
HANDED_ON = ("models_dir", "trained_dir", "champion", "runtime", "device", "batch_clips")
ENDED = ("done", "failed", "cancelled")
MEGABYTE = 10**6


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table: its key in `measure`, what must be reached, and what should be; a goal above what
    must be says that more is better."""

    key: str
    name: str
    must: float
    goal: float
    unit: str = ""

    def mark(self, value: float) -> str:
        """What the value falls short of; empty when of nothing."""
        for bound, word in ((self.must, "must"), (self.goal, "goal")):
            if value < bound if self.goal > self.must else value > bound:
                return f"misses {word}"
        return ""

    def text(self, value: float) -> str:
        number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        return f"{number} {self.unit}".rstrip()


FIGURES = (
    Figure("end_to_end_against_floor", "end to end against the floor", 0.75, 0.9),
    Figure("speed_up_against_floor", "1 → 2 workers against the floor's", 0.85, 0.95),
    Figure("largest_against_smallest", "largest job against the smallest", 0.95, 1.0),
    Figure("one_clip_beside_large_s", "one clip while a large job runs", 10, 3, "s"),
    Figure("one_clip_alone_ms", "one clip on the idle stack", 300, 100, "ms"),
    Figure("classify_cold_start_s", "cold start of `voxmood classify`", 3, 1.5, "s"),
    Figure("worker_mb", "memory of a serving worker", 500, 300, "MB"),
    Figure("api_mb", "memory of the API", 200, 150, "MB"),
)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack, and a client of it."""

    record: Record
    client: Client

    def send(self, archive: Path) -> tuple[int, float]:
        """Send an archive as a job and start it; the job's id, and when its first byte was sent."""
        job = int(self.client.create_job(archive.name)["id"])
        began = time.time()
        self.client.put_upload(job, archive.name, FileToSend(archive), 0, lambda _: None)
        self.client.start(job)
        return job, began

    def end_of(self, job: int, clips: int) -> float:
        """Wait for a job's end; when that was, by the database's clock: so it may be looked for seldom."""
        deadline = time.monotonic() + ROW_LIMIT_S + clips * SECONDS_A_CLIP
        while (document := self.client.job(job))["state"] not in ENDED:
            if time.monotonic() > deadline:
                raise SystemExit(f"Job {job} does not end: {document['counts']}")
            time.sleep(LOOK_AT_JOB_S)
        counts = document["counts"]
        heard = counts["done"] - counts["failed"] - counts["duplicates"]
        if document["state"] != "done" or heard != clips:
            raise SystemExit(f"Of {clips} clips not all were heard: {document['state']}, {counts}")
        return datetime.fromisoformat(document["ended_at"]).timestamp()

    def rate(self, archive: Path, clips: int) -> float:
        """Clips a second, from the first byte sent to the last row."""
        job, began = self.send(archive)
        return clips / (self.end_of(job, clips) - began)

    def seconds_to_row(self, recording: Path) -> float:
        """One recording as a job of its own: from its first byte sent until its row is to be had.

        Asked for every 5 ms on the client's one kept connection.
        """
        job, began = self.send(recording)
        while next(self.client.results(job, None, page=1), None) is None:
            if time.time() - began > ROW_LIMIT_S:
                raise SystemExit(f"Job {job}, a single clip, has no row.")
            time.sleep(LOOK_FOR_ROW_S)
        return time.time() - began

    def alone(self, recording: Path) -> float:
        """Median seconds of one clip on the idle stack."""
        waits = []
        for _ in range(ALONE):
            time.sleep(PAUSE_S)
            waits.append(self.seconds_to_row(recording))
        return statistics.median(waits)

    def beside(self, archive: Path, clips: int, recording: Path) -> float:
        """Seconds of the slowest of some clips sent one after another while a large job runs."""
        job, _ = self.send(archive)
        while not (document := self.client.job(job))["counts"]["done"] and document["state"] == "running":
            time.sleep(LOOK_FOR_ROW_S)
        waits = [self.seconds_to_row(recording)]
        while len(waits) < BESIDE and self.client.job(job)["state"] not in ENDED:
            waits.append(self.seconds_to_row(recording))
        self.end_of(job, clips)
        return max(waits)

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


def environment(state: Path) -> dict[str, str]:
    """What `voxmood` is told: its folder, and of our own settings those that decide how a clip is heard.

    Any other VOXMOOD_… would lead to the user's own database, queue or store.
    """
    settings = Settings()
    told = {name: value for name, value in os.environ.items() if not name.startswith("VOXMOOD_")}
    for name in HANDED_ON:
        if (value := getattr(settings, name)) is not None:
            told[f"VOXMOOD_{name.upper()}"] = str(value)
    return told | {"VOXMOOD_STATE": str(state)}


def voxmood(arguments: Sequence[str], told: Mapping[str, str]) -> None:
    """The `voxmood` command; where it fails, it has said why."""
    command = [str(Path(sys.executable).with_name("voxmood")), *arguments]
    if subprocess.run(command, env=told, check=False, stdout=subprocess.DEVNULL).returncode:
        raise SystemExit(f"voxmood {arguments[0]} failed.")


@contextmanager
def running_stack(state: Path, workers: int) -> Iterator[Stack]:
    """`voxmood up` on a state folder of its own; `voxmood down` whatever happens."""
    told = environment(state)
    try:
        voxmood(["up", "--detach", "--workers", str(workers)], told)
        record = StateFolder(state).record()
        assert record is not None, "a stack that is up has a record"
        with Client(record.api_url) as client:
            yield Stack(record, client)
    finally:
        if StateFolder(state).held():
            voxmood(["down"], told)


def cold_start(recording: Path, told: Mapping[str, str]) -> float:
    """Median seconds of `voxmood classify` on one file, from its start to its end."""
    times = [time.monotonic()]
    for _ in range(STARTS):
        voxmood(["classify", str(recording)], told)
        times.append(time.monotonic())
    return statistics.median(end - start for start, end in pairwise(times))


def measure(clips: int, large: bool) -> dict[str, float]:
    """All figures by name: those of FIGURES, and the clips a second that they come from.

    clips: of the job that is held against the floor. The others have a quarter of it, two and a half times
    it and, with `large`, 25 times it: 1,000, 10,000 and 100,000 for 4,000.
    """
    sizes = [clips // 4, clips * 5 // 2, *([clips * 25] if large else [])]
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="voxmood-flow-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        _say(f"Making archives of {clips}, {', '.join(map(str, sizes))} clips")
        archive, *archives = (archive_of(count, folder) for count in (clips, *sizes))
        in_memory = members(archive)
        recording = folder / "one.flac"
        recording.write_bytes(in_memory[0][1])
        _say("Starting `voxmood classify`")
        found["classify_cold_start_s"] = cold_start(recording, environment(folder / "none"))
        for workers in WORKERS:
            _say(f"The floor of {workers}")
            rates = [floor(in_memory, workers) for _ in range(REPEATS)]
            found[f"floor_{workers}_clips_s"] = statistics.median(rates)
            _say(f"A stack with {workers} to classify")
            with running_stack(folder / f"state {workers}", workers) as stack:
                stack.rate(archives[0], sizes[0])  # what only the first job loads
                rates = [stack.rate(archive, clips) for _ in range(REPEATS)]
                found[f"end_to_end_{workers}_clips_s"] = statistics.median(rates)
                if workers == WORKERS[-1]:
                    found["one_clip_alone_ms"] = 1000 * stack.alone(recording)
                    for size, one in zip(sizes, archives, strict=True):
                        _say(f"A job of {size}")
                        rates = [stack.rate(one, size) for _ in range(1 if size > sizes[1] else REPEATS)]
                        found[f"job_of_{size}_clips_s"] = statistics.median(rates)
                    found["one_clip_beside_large_s"] = stack.beside(archives[1], sizes[1], recording)
                    found |= stack.memory()
    few, many = (found[f"end_to_end_{w}_clips_s"] / found[f"floor_{w}_clips_s"] for w in WORKERS)
    smallest, largest = (found[f"job_of_{size}_clips_s"] for size in (sizes[0], sizes[-1]))
    return found | {
        "end_to_end_against_floor": many,
        "speed_up_against_floor": many / few,  # the same as one speed-up over the other
        "largest_against_smallest": largest / smallest,
    }


def _say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)


def main(
    clips: Annotated[int, typer.Option(min=8, help="Clips of the job held against the floor.")] = 4000,
    large: Annotated[bool, typer.Option("--large", help="Also one 25 times as large; 13 GB.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure, and print a table."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the stack is taken down then, too
    os.environ.pop("VOXMOOD_API_KEY", None)  # it is of another stack
    found = measure(clips, large)
    if json:
        print(json_module.dumps({"clips": clips, **found}))
        return
    table = Table(title=f"{clips:,} clips on {len(os.sched_getaffinity(0))} cores, 2 workers", box=None)
    table.add_column("figure", no_wrap=True)
    for heading in ("measured", "must", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in FIGURES:
        values = map(figure.text, (found[figure.key], figure.must, figure.goal))
        table.add_row(figure.name, *values, figure.mark(found[figure.key]))
    table.add_section()
    for key in sorted(found.keys() - {figure.key for figure in FIGURES}):
        table.add_row(f"  {key.replace('_', ' ')}", f"{found[key]:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
