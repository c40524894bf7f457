"""What the soak does to a stack: kill -9 of any process, an emptied queue, work stopped past its lease."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress

import psutil
import redis

from shared.stack.state import StateFolder
from tests.postgres import Postgres
from tests.stacks import Stack, processes_of

MAINS = ("classify", "unpack", "unpack-small", "maintenance", "train")
WITH_CHILDREN = ("classify", "classify", "unpack", "unpack-small", "train")


class Killer:
    """Strikes at random; counts each kind of what it did."""

    def __init__(
        self, stack: Stack, chance: random.Random, lease_s: float, postgres: Postgres | None
    ) -> None:
        self.kills: Counter[str] = Counter()
        self._stack = stack
        self._chance = chance
        self._lease_s = lease_s
        self._postgres = postgres
        self._stopped: list[tuple[float, psutil.Process]] = []
        self._kinds = {
            self.kill_a_worker_child: 5,
            self.kill_a_worker: 3,
            self.stop_a_worker_child_past_its_lease: 2,
            self.kill_the_api: 2,
            self.kill_beat: 1,
            self.kill_the_queue: 2,
            self.empty_the_queue: 2,
            self.kill_the_store: 2,
            self.kill_the_supervisor: 1,
        } | ({self.kill_postgresql: 2} if postgres else {})

    def strike(self) -> None:
        """One blow of a random kind, where there is something to hit at the moment."""
        self.tend()
        blow = self._chance.choices(list(self._kinds), list(self._kinds.values()))[0]
        with suppress(psutil.NoSuchProcess, ProcessLookupError, KeyError, IndexError, redis.RedisError):
            blow()
            self.kills[blow.__name__.replace("_", " ").replace("api", "API")] += 1

    def tend(self, all_of_them: bool = False) -> None:
        """Let go on what was stopped for longer than its lease; at the end all of it."""
        for due, process in list(self._stopped):
            if all_of_them or time.monotonic() > due:
                self._stopped.remove((due, process))
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def kill_the_whole_stack(self) -> None:
        """kill -9 of everything at once, as a power cut does; then `voxmood up`."""
        self._stack.kill()
        self._stopped.clear()
        self.kills["kill the whole stack"] += 1
        self._stack.up("--workers", "2")

    def kill_a_worker_child(self) -> None:
        self._child().kill()

    def kill_a_worker(self) -> None:
        self._kill(self._chance.choice(MAINS))

    def stop_a_worker_child_past_its_lease(self) -> None:
        child = self._child()
        child.suspend()
        self._stopped.append((time.monotonic() + self._lease_s + 2, child))

    def kill_the_api(self) -> None:
        self._kill("api")

    def kill_beat(self) -> None:
        self._kill("beat")

    def kill_the_queue(self) -> None:
        self._kill("queue")

    def kill_the_store(self) -> None:
        self._kill("store")

    def empty_the_queue(self) -> None:
        password = StateFolder(self._stack.state).credentials().queue_password
        with redis.Redis(port=self._stack.record.ports["queue"], password=password, retry=None) as queue:
            queue.flushall()

    def kill_the_supervisor(self) -> None:
        """The kernel ends the parts with it; then `voxmood up`."""
        supervisor = self._stack.record.supervisor
        assert supervisor is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        self._stopped.clear()
        deadline = time.monotonic() + 10
        while processes_of(self._stack.state):
            assert time.monotonic() < deadline, "processes outlived their supervisor"
            time.sleep(0.1)
        self._stack.up("--workers", "2")

    def kill_postgresql(self) -> None:
        assert self._postgres is not None
        self._postgres.end(signal.SIGKILL)
        time.sleep(self._chance.uniform(0, 5))
        self._postgres.start()

    def _kill(self, part: str) -> None:
        os.kill(self._stack.record.children[part].pid, signal.SIGKILL)

    def _child(self) -> psutil.Process:
        part = self._chance.choice(WITH_CHILDREN)
        return self._chance.choice(psutil.Process(self._stack.record.children[part].pid).children())
