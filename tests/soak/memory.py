"""Memory of each part over time. PSS: shared pages are counted once, divided among those who share them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from tests.stacks import Stack

EVERY_S = 5.0
MEGABYTE = 10**6


@dataclass(frozen=True)
class Sample:
    """Megabytes by part, `at_s` seconds after the start."""

    at_s: float
    pss: dict[str, float]
    rss: dict[str, float]


class MemoryWatch(threading.Thread):
    """Samples all processes of a stack every five seconds until `ended` is set."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self.ended = threading.Event()
        self._stack = stack
        self._began = time.monotonic()

    @property
    def now_s(self) -> float:
        """Seconds since the watch was made."""
        return time.monotonic() - self._began

    def run(self) -> None:
        while not self.ended.wait(EVERY_S):
            record = self._stack.record
            parts = {child.pid: name for name, child in record.children.items()}
            pss: defaultdict[str, float] = defaultdict(float)
            rss: defaultdict[str, float] = defaultdict(float)
            for pid in psutil.pids():
                with contextlib.suppress(OSError, ValueError, StopIteration):
                    supervisor = record.supervisor is not None and pid == record.supervisor.pid
                    part = "supervisor" if supervisor else parts.get(os.getsid(pid))
                    if part is not None:
                        found = _memory(pid)
                        pss[part] += found["Pss:"] / MEGABYTE
                        rss[part] += found["Rss:"] / MEGABYTE
            self.samples.append(Sample(self.now_s, dict(pss), dict(rss)))


def _memory(pid: int) -> dict[str, float]:
    """Bytes, from smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split()[0]: float(line.split()[1]) * 1024 for line in lines}


def slopes(samples: list[Sample], from_s: float) -> dict[str, float]:
    """MB a minute of each part by least squares over the samples after `from_s`; needs three of them."""
    chosen = [sample for sample in samples if sample.at_s >= from_s]
    if len(chosen) < 3:
        return {}
    minutes = np.array([sample.at_s for sample in chosen]) / 60
    parts = sorted(set.intersection(*(set(sample.pss) for sample in chosen)))
    return {part: float(np.polyfit(minutes, [sample.pss[part] for sample in chosen], 1)[0]) for part in parts}
