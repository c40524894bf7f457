"""Programs that tests start: in a folder and on ports of their own, ended with the test run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.core.processes import die_with_parent
from shared.stack import programs
from shared.stack.ports import Ports


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """A folder that is removed whatever a program still writes into it."""
    with tempfile.TemporaryDirectory(prefix=f"voxmood-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def free_ports(*names: str) -> Iterator[dict[str, int]]:
    """Unusual ports, so that no stack of a person on this machine is met."""
    chosen = {}
    with Ports() as ports:
        for name in names:
            wished = random.sample(range(12_000, 22_000), 200)
            port = ports.choose(wished, offsets=programs.offsets(name))
            assert port is not None
            chosen[name] = port
        yield chosen


@contextmanager
def running_program(
    argv: tuple[str, ...] | list[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program while it runs; what it says goes to the folder's file `log`."""
    process = start_program(argv, folder, environment, signal.SIGTERM)
    try:
        yield process
    finally:
        end_program(process, signal.SIGTERM)


def start_program(
    argv: tuple[str, ...] | list[str],
    folder: Path,
    environment: Mapping[str, str],
    at_parents_end: signal.Signals,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a program that gets a signal when this process ends, however it ends."""
    parent = os.getpid()
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **environment},
            preexec_fn=lambda: die_with_parent(parent, at_parents_end),
            **options,
        )


def end_program(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a program by a signal, and kill it where it has not gone in 15 s."""
    process.send_signal(how)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_ready(
    attempt: Callable[[], object], misses: type[Exception] | tuple[type[Exception], ...], folder: Path
) -> None:
    """Try until it does not miss any more; an AssertionError with the folder's log after 30 s."""
    deadline = time.monotonic() + 30
    while True:
        try:
            attempt()
        except misses as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready: {error}\n{(folder / 'log').read_text()}") from error
            time.sleep(0.05)
        else:
            return
