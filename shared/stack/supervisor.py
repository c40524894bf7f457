"""The supervisor: starts the programs of a stack, keeps them running, and ends them in order.

It is one process with one thread. Signals are blocked and waited for, so that nothing happens between two
lines: SIGCHLD wakes the loop when a program has ended; SIGINT, SIGTERM, SIGHUP and SIGQUIT end the stack.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby

from shared.core.processes import start_time
from shared.stack.ports import Ports, remove_store_sockets
from shared.stack.processes import Child, end_leftovers, rotate
from shared.stack.programs import STORE_PORTS
from shared.stack.state import Identity, Record, StateFolder
from shared.stack.wiring import Wiring

log = logging.getLogger("voxmood.stack")

ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
TICK_S = 0.5
BOUND_LOGS_EVERY_S = 60.0
LOG_BYTES = 16 * 2**20  # a log longer than this becomes .1


class Supervisor:
    """One stack on one state folder, which it holds locked."""

    def __init__(self, folder: StateFolder, wiring: Wiring, ports: Ports) -> None:
        self.folder = folder
        self.record = wiring.record
        self._written: Record | None = None
        self._ports = ports
        self._is_patient = True
        self._children = [
            Child(program, wiring.environment, folder.path, folder.log(program.name))
            for program in wiring.programs
        ]

    @classmethod
    def prepare(cls, folder: StateFolder, wire: Callable[[StateFolder, Ports], Wiring]) -> Supervisor:
        """Take the state folder, end what an earlier stack has left in it, then wire the new one.

        Nothing is started yet.

        Args:
            folder: of the state.
            wire: decides on the programs.

        Raises:
            AlreadyRunning: a stack runs on this folder.
            DiskFull: the folder's disk has too little room.
            VoxmoodError: what `wire` raises.
        """
        folder.make()
        folder.lock()
        ports = Ports()
        try:
            before = folder.record()
            if before and (left := end_leftovers(before.children, folder.path)):
                log.warning("killed what an earlier run had left: %s", ", ".join(left))
            return cls(folder, wire(folder, ports), ports)
        except BaseException:
            ports.release()
            folder.unlock()
            raise

    def release(self) -> None:
        """Give up lock and ports; a fork of this process that holds them too keeps them."""
        self._ports.release()
        self.folder.unlock()

    def run(self, watch: Callable[[], None] = lambda: None) -> None:
        """Keep the programs running until a signal ends the stack.

        Args:
            watch: called twice a second.
        """
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING | {signal.SIGCHLD})
        self.record.supervisor = Identity(pid=os.getpid(), start_time=start_time(os.getpid()) or 0)
        self._write()
        try:
            self._bound_logs(0)
            self._keep_running(watch)
        finally:
            self._end()
            self.release()
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _keep_running(self, watch: Callable[[], None]) -> None:
        bounded_at = time.monotonic()
        while True:
            self._check_children()
            watch()
            if time.monotonic() - bounded_at > BOUND_LOGS_EVERY_S:
                bounded_at = time.monotonic()
                self._bound_logs(LOG_BYTES)
            woken = signal.sigtimedwait(ENDING | {signal.SIGCHLD}, TICK_S)
            if woken is not None and woken.si_signo in ENDING:
                log.info("%s: ending all parts", signal.Signals(woken.si_signo).name)
                return

    def _check_children(self) -> None:
        for child in self._children:
            sentence = child.check()
            if sentence:
                log.warning(sentence)
        self._write()

    def _bound_logs(self, over_bytes: int) -> None:
        for path in self.folder.logs.glob("*.log"):
            with suppress(OSError):  # a full disk ends no stack
                rotate(path, over_bytes)

    def _end(self) -> None:
        in_order = sorted(self._children, key=lambda child: child.program.ends)
        for _, together in groupby(in_order, key=lambda child: child.program.ends):
            self._end_together(list(together))
        remove_store_sockets(port for name, port in self.record.ports.items() if name in STORE_PORTS)
        self.record.supervisor = None
        self._write()

    def _end_together(self, children: list[Child]) -> None:
        """Ask these programs to end, and kill those that take longer than their grace.

        After a second Ctrl-C no program has any grace.
        """
        started = time.monotonic()
        for child in children:
            child.terminate()
        while waited_for := [child for child in children if not child.ended()]:
            passed = time.monotonic() - started
            for child in waited_for:
                if not self._is_patient or passed > child.program.grace_s:
                    # For the log alone: leases and the store bear it.
                    log.debug("%s did not end within %.0f s; killed", child.program.name, passed)
                    child.kill()
            woken = signal.sigtimedwait({signal.SIGINT, signal.SIGCHLD}, 0.1)
            if woken is not None and woken.si_signo == signal.SIGINT:
                self._is_patient = False

    def _write(self) -> None:
        """Write stack.json when its content has changed."""
        records = {child.program.name: child.record() for child in self._children}
        self.record.children = {name: record for name, record in records.items() if record}
        if self.record != self._written:
            with suppress(OSError):  # a full disk ends no stack; the next tick tries again
                self.folder.write(self.record)
                self._written = self.record.model_copy()
