"""A fuzz: children that read inputs by number, watched; what they find is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from select import select
from typing import IO, Any, cast

from shared.core.settings import MEBIBYTE, REPOSITORY
from tests.fuzz.mutations import mutated

HANG_S = 60.0  # by the clock, beside others on the machine
SLOW_S = 5.0  # of the processor
MEMORY_BYTES = 200 * MEBIBYTE  # over the process at rest; the largest window of xz takes 128
SAID_BYTES = 64 * 1024  # printed by libraries for one input: it would fill a worker's log
START_S = 120.0
MOST_KEPT = 20  # inputs of one kind of finding


@dataclass
class Report:
    """What a campaign found; shared by the threads of its children, each of which holds `lock`."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    slowest_s: float = 0.0
    grown_bytes: int = 0
    loudest_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def reader_command(seeds: Path, seed: int) -> list[str]:
    """The reader of mutations of a folder of seeds."""
    return [sys.executable, "-m", "tests.fuzz.reader", str(seeds), str(seed)]


class Child:
    """One reader, started at its first question, and again when it has ended. `said`: what it prints."""

    def __init__(self, command: list[str], said: Path) -> None:
        self._command = command
        self._said = said
        self._process: subprocess.Popen[bytes] | None = None
        self.rest_bytes = 0

    def ask(self, question: str) -> dict[str, Any]:
        """The answer to an input's number or path; under `broke` also how the child ended or hung."""
        if self._process is None:
            self._start()
        process = cast("subprocess.Popen[bytes]", self._process)
        with suppress(BrokenPipeError):  # the answer says how it ended
            cast("IO[bytes]", process.stdin).write(question.encode() + b"\n")
            cast("IO[bytes]", process.stdin).flush()
        return self._answer(HANG_S)

    def _start(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                self._command,
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        ready = self._answer(START_S)
        if ready["broke"]:
            raise RuntimeError(f"the reader does not start: {self._said.read_text()}")
        self.rest_bytes = ready["peak_bytes"]

    def _answer(self, limit_s: float) -> dict[str, Any]:
        process = cast("subprocess.Popen[bytes]", self._process)
        answers = cast("IO[bytes]", process.stdout)
        if not select([answers], [], [], limit_s)[0]:
            self.close()
            return {"broke": f"hangs: no answer in {limit_s:.0f} s"}
        if line := answers.readline():
            return cast("dict[str, Any]", json.loads(line))
        status = process.wait()
        self.close()
        ended = signal.Signals(-status).name if status < 0 else f"status {status}"
        return {"broke": f"the process ended: {ended}"}

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            with suppress(BrokenPipeError):
                self._process.communicate()
            self._process = None


def found(answer: dict[str, Any], rest_bytes: int) -> list[str]:
    """What must not be, in words; empty when all is well."""
    if answer["broke"]:
        return [answer["broke"]]
    words = [f"warning: {text}" for text in answer["warnings"]]
    if answer["cpu_s"] > SLOW_S:
        words.append(f"slow: over {SLOW_S:.0f} s of processor time")
    if answer["said_bytes"] > SAID_BYTES:
        words.append(f"loud: over {SAID_BYTES:,} bytes printed by libraries")
    if answer["peak_bytes"] - rest_bytes > MEMORY_BYTES:
        words.append(f"large: over {MEMORY_BYTES:,} bytes of memory")
    return words


class Campaign:
    """`inputs` mutations of a folder of seeds; findings go to a folder as input and words."""

    def __init__(self, seeds: Path, seed: int, findings: Path) -> None:
        self._seeds = seeds
        self._bodies = [file.read_bytes() for file in sorted(seeds.iterdir())]
        self._seed = seed
        self._findings = findings
        self.report = Report()

    def run(
        self, numbers: Iterable[int], children: int, on_progress: Callable[[Report], None] = lambda _: None
    ) -> Report:
        """Read all inputs by so many children at once; `on_progress` is called every ten seconds."""
        left = iter(numbers)
        failures: list[BaseException] = []
        threads = [threading.Thread(target=self._work, args=(left, failures)) for _ in range(children)]
        for thread in threads:
            thread.start()
        spoken = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.1)
            if time.monotonic() - spoken > 10:
                spoken = time.monotonic()
                on_progress(self.report)
        if failures:
            raise failures[0]
        return self.report

    def _work(self, left: Iterator[int], failures: list[BaseException]) -> None:
        try:
            with self._child() as child:
                while (number := self._next(left)) is not None:
                    self._count(number, child.ask(str(number)), child.rest_bytes)
        except BaseException as error:
            failures.append(error)

    @contextmanager
    def _child(self) -> Iterator[Child]:
        self._findings.mkdir(parents=True, exist_ok=True)
        said = self._findings / f"said-{threading.get_ident()}"
        child = Child(reader_command(self._seeds, self._seed), said)
        try:
            yield child
        finally:
            child.close()
            said.unlink(missing_ok=True)

    def _next(self, left: Iterator[int]) -> int | None:
        with self.report.lock:
            return next(left, None)

    def _count(self, number: int, answer: dict[str, Any], rest_bytes: int) -> None:
        report = self.report
        with report.lock:
            report.inputs += 1
            report.outcomes.update(answer.get("codes", {}))
            report.restarts += "codes" not in answer
            report.slowest_s = max(report.slowest_s, answer.get("cpu_s", 0.0))
            report.grown_bytes = max(report.grown_bytes, answer.get("peak_bytes", 0) - rest_bytes)
            report.loudest_bytes = max(report.loudest_bytes, answer.get("said_bytes", 0))
            for words in found(answer, rest_bytes):
                report.findings[words] += 1
                if report.findings[words] <= MOST_KEPT:
                    self._keep(number, words)

    def _keep(self, number: int, words: str) -> None:
        name = self._findings / f"{self._seed}-{number}"
        name.with_suffix(".bin").write_bytes(mutated(self._bodies, Random(f"{self._seed} {number}")))
        with name.with_suffix(".txt").open("a") as file:
            file.write(f"seed {self._seed}, input {number}: {words}\n")
