"""The memory of a stack's processes while it is at work."""

from __future__ import annotations

import threading
from collections import defaultdict

import psutil


class MemoryWatch(threading.Thread):
    """The most resident memory of each process below a supervisor, sampled five times a second."""

    def __init__(self, supervisor: int) -> None:
        super().__init__(daemon=True)
        self.supervisor = psutil.Process(supervisor)
        self.most: dict[str, int] = defaultdict(int)
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            for process in self.supervisor.children(recursive=True):
                try:
                    command, memory = " ".join(process.cmdline()), process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
                kind = "api" if "api.app" in command else "worker" if "celery" in command else "other"
                self.most[kind] = max(self.most[kind], memory)
