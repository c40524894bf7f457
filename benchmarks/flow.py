"""A job end to end, through the real stack as a user has it (`python -m benchmarks.flow`).

An archive is sent over HTTP to a `voxmood up` of its own, unpacked, classified and written to the database;
measured is the time from the first byte sent to the last row. It is compared with the floor of
benchmarks.floor: the same clips on the same cores, by processes that do nothing else. The sender runs on
these cores too. Run nothing beside it: other work on the machine is measured with it.

VOXMOOD_CHAMPION and the other settings of models hold for the stack and the floor alike.
"""

from __future__ import annotations

import json as json_module
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import ending_softly, run, say
from benchmarks.floor import archive_of, floor, members
from benchmarks.stack import Stack, environment, running_stack, voxmood
from benchmarks.targets import FLOW, PROCESSOR_MS, show

WORKERS = (1, 2)
REPEATS = 3  # of each rate; its median counts
STARTS = 5  # of `voxmood classify`
ONCE = 50_000  # jobs of more clips are sent once: what is noise in ten seconds is none in ten minutes
SIZES = 1_000, 10_000, 100_000


def cold_start(recording: Path, environment_of: Mapping[str, str]) -> float:
    """The median time of `voxmood classify` on one file, from its start to its end, in seconds."""
    times = [time.monotonic()]
    for _ in range(STARTS):
        voxmood(["classify", str(recording)], environment_of)
        times.append(time.monotonic())
    return statistics.median(end - start for start, end in pairwise(times))


def measure(clips: int, sizes: Sequence[int] = ()) -> dict[str, float]:
    """Measure everything of FLOW, and the rates that it comes from.

    Args:
        clips: of the job that is compared with the floor.
        sizes: of further jobs, ascending. While the last of them runs, single clips are sent beside it.
    """
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="voxmood-flow-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        say(f"Making an archive of {clips:,} clips")
        archive = archive_of(clips, folder)
        in_memory = members(archive)
        recording = folder / "one.flac"
        recording.write_bytes(in_memory[0][1])
        say("Starting `voxmood classify`")
        found["classify_cold_start_s"] = cold_start(recording, environment(folder / "none"))
        for workers in WORKERS:
            # Floor and stack by turns: what else the machine does then falls on both.
            floors, rates, spent = [], [], []
            with running_stack(folder / f"state {workers}", workers) as stack:
                stack.rate(archive, clips)  # what only the first job loads
                for turn in range(REPEATS):
                    say(f"{clips:,} clips by {workers}, {turn + 1} of {REPEATS}")
                    floors.append(floor(in_memory, workers))
                    before = stack.processor_s()
                    rates.append(stack.rate(archive, clips))
                    spent.append(_since(before, stack.processor_s(), clips))
                if workers == WORKERS[-1]:
                    for name in sorted(set.intersection(*map(set, spent))):
                        found[PROCESSOR_MS + name] = statistics.median(one[name] for one in spent)
                    found |= stack.memory()
                    found["one_clip_alone_ms"] = 1000 * stack.alone(recording)
                    found |= _sizes(stack, sizes, recording, folder)
            found[f"floor_{workers}_clips_s"] = statistics.median(floors)
            found[f"end_to_end_{workers}_clips_s"] = statistics.median(rates)
    few, many = (found[f"end_to_end_{w}_clips_s"] / found[f"floor_{w}_clips_s"] for w in WORKERS)
    found["end_to_end_against_floor"] = many
    found["speed_up_against_floor"] = many / few  # the same as one speed-up over the other
    if sizes == SIZES:  # the start and the end of a job decide of smaller ones
        smallest, largest = (found[f"job_of_{size}_clips_s"] for size in (sizes[0], sizes[-1]))
        found["largest_against_smallest"] = largest / smallest
    return found


def _since(before: Mapping[str, float], after: Mapping[str, float], clips: int) -> dict[str, float]:
    """Milliseconds of processor time a clip, by program."""
    return {name: 1000 * (after[name] - before[name]) / clips for name in before.keys() & after.keys()}


def _sizes(stack: Stack, sizes: Sequence[int], recording: Path, folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for size in sizes:
        say(f"A job of {size:,} clips")
        archive = archive_of(size, folder)
        if size == sizes[-1]:
            rate, slowest = stack.beside(archive, size, recording)
            found["one_clip_beside_large_s"] = slowest
            rates = [rate]
        else:
            rates = [stack.rate(archive, size) for _ in range(1 if size > ONCE else REPEATS)]
        found[f"job_of_{size}_clips_s"] = statistics.median(rates)
        archive.unlink()
    return found


def main(
    clips: Annotated[int, typer.Option(min=8, help="Clips of the job held against the floor.")] = 4000,
    large: Annotated[bool, typer.Option("--large", help="Also jobs of 1,000 to 100,000; 13 GB.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure, and print a table."""
    ending_softly()
    found = measure(clips, SIZES if large else (clips // 4, clips))
    if json:
        print(json_module.dumps({"clips": clips, **found}))
        return
    show(found, FLOW, f"{clips:,} clips on {len(os.sched_getaffinity(0))} cores")


if __name__ == "__main__":
    run(main)
