"""The floor under a job: its clips, classified by processes that do nothing else.

`python -m benchmarks.floor`. Each process is fresh, has one thread, a warm classifier as a worker loads it,
and its share of the files in memory. There is no queue, no store and no database, so the stack cannot be
faster on the same cores; benchmarks.flow measures how near it comes.
"""

from __future__ import annotations

import json as json_module
import multiprocessing
import os
import signal
import tarfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.clip import RAVDESS, recordings
from benchmarks.command import run
from shared.stack.programs import ONE_THREAD

# Until the slowest process has imported everything, has its share and is warm; beside other work this may
# take a minute.
WARM_LIMIT_S = 300.0
BASES = 128  # recordings that all clips are made of

Clips = Sequence[tuple[str, bytes]]

_barrier: Barrier  # of this process; set by _prepare before its share comes


def unique_clips(count: int) -> Iterator[tuple[str, bytes]]:
    """FLAC files, no two alike: 128 recordings in turn, each time with another sample changed.

    A sample is changed by one step of 16 bits, which nobody hears. The stack classifies the same bytes only
    once, so copies would be rows without work.

    Args:
        count: how many.

    Yields:
        Name and content of each.
    """
    files = recordings(RAVDESS, BASES)
    bases = [(name, *soundfile.read(BytesIO(file), dtype="int16")) for name, file in files]
    for number in range(count):
        turn, place = divmod(number, len(bases))
        name, samples, sampling_rate = bases[place]
        changed = np.array(samples)
        changed[turn] ^= 1
        file = BytesIO()
        soundfile.write(file, changed, sampling_rate, format="FLAC", subtype="PCM_16")
        yield f"{turn:04}/{name}", file.getvalue()


def archive_of(clips: int, folder: Path) -> Path:
    """Write a tar of unique clips one by one: 100,000 of them do not fit into memory."""
    path = folder / f"{clips}.tar"
    with path.open("wb") as file:
        for name, content in unique_clips(clips):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.write(info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE))
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path


def members(archive: Path) -> Clips:
    """All clips of such a tar, (name, content), in memory."""
    with tarfile.open(archive, "r:") as tar:
        return [(info.name, file.read()) for info in tar if (file := tar.extractfile(info)) is not None]


def floor(clips: Clips, processes: int) -> float:
    """Clips a second over all processes, from their common start to the end of the last.

    Args:
        clips: (path, content); each process takes an equal share of them, to within one clip.
        processes: how many.
    """
    shares = [clips[number::processes] for number in range(processes)]
    if not all(shares):
        raise ValueError(f"{len(clips)} clips are too few for {processes} processes")
    spawned = multiprocessing.get_context("spawn")  # a forked one would have what this process has loaded
    barrier = spawned.Barrier(processes)
    with (
        _one_thread(),
        ProcessPoolExecutor(processes, spawned, initializer=_prepare, initargs=(barrier,)) as pool,
    ):
        # A process that has taken a share waits for the others before it begins, so none takes two.
        times = list(pool.map(_classify, shares))
    return len(clips) / (max(ended for _, ended in times) - min(started for started, _ in times))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started inside have one thread each, like the workers of a stack.

    Set in the environment, which NumPy and others read when they are imported.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _prepare(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends all of them; one traceback is enough


def _classify(clips: Clips) -> tuple[float, float]:
    """Run in a process of its own; returns start and end by the monotonic clock, which processes share."""
    from shared.core.settings import Settings
    from shared.models.serving.classifier import Classifier

    try:
        settings = Settings()
        classifier = Classifier.load(settings.model_folders, settings.champion)
        size = classifier.batch_size(settings.batch_clips)
        classifier.warm()
        classifier.classify(clips[:size], batch_clips=size)  # what only the first recording imports
        _barrier.wait(WARM_LIMIT_S)
    except BaseException:
        _barrier.abort()  # the others do not wait for one that has failed
        raise
    started = time.monotonic()
    results = [
        result
        for begin in range(0, len(clips), size)
        for result in classifier.classify(clips[begin : begin + size], batch_clips=size)
    ]
    ended = time.monotonic()
    for result in results:
        if result.error is not None:  # a clip that fails takes no time
            raise ValueError(f"{result.path}: {result.error}")
    return started, ended


def main(
    clips: Annotated[int, typer.Option(min=2, help="How many, of each number of processes.")] = 4000,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure with one process and with two, and print a table."""
    in_memory = list(unique_clips(clips))
    rates = {processes: floor(in_memory, processes) for processes in (1, 2)}
    if json:
        print(json_module.dumps({"clips": clips, "clips_a_second": rates}))
        return
    table = Table(title=f"{clips:,} clips in memory, one thread a process", box=None)
    for heading in ("processes", "clips a second", "times one"):
        table.add_column(heading, justify="right")
    for processes, rate in rates.items():
        table.add_row(str(processes), f"{rate:,.0f}", f"{rate / rates[1]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
