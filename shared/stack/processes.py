"""A program as a process: started, watched, restarted after growing pauses, ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from shared.core.processes import die_with_parent, start_time
from shared.stack.programs import Program
from shared.stack.state import ChildRecord

PAUSE_S = 1.0  # before the first new start; doubles with each
LONGEST_PAUSE_S = 30.0
KILL_LIMIT_S = 5.0  # for what the kernel is still busy with
HEALTHY_S = 60.0  # a process that has lived this long starts the pauses anew


class Child:
    """One program, kept running until it is ended.

    Each process leads a session of its own, so that Ctrl-C in the terminal reaches only the supervisor, and
    so that the program can be killed with everything that it started. The kernel kills it when the supervisor
    dies: start children from the main thread, whose end is what the kernel watches.

    Attributes:
        program: what runs.
        restarts: how often it was started again.
        finished: whether a program that runs once has done its work.
    """

    def __init__(self, program: Program, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        """Describe the process; `check` starts it.

        Args:
            program: what runs.
            environment: the stack's own variables.
            folder: its working directory.
            log: the file for its output.
        """
        self.program = program
        self.restarts = 0
        self.finished = False  # a part that runs once has done its work
        self._environment = {**environment, **program.environment}
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_time = 0
        self._next_start = 0.0
        self._pause_s = PAUSE_S

    def record(self) -> ChildRecord | None:
        """The identity of the process; None while there is none."""
        if self._process is None:
            return None
        return ChildRecord(pid=self._process.pid, start_time=self._start_time, restarts=self.restarts)

    def check(self) -> str | None:
        """Start the process when it is due, and notice when it has ended.

        Returns:
            A sentence when it ended unexpectedly or could not be started.
        """
        now = time.monotonic()
        if self._process is None:
            if self.finished or now < self._next_start:
                return None
            try:
                self._start(now)
            except (OSError, subprocess.SubprocessError) as error:
                return self._start_later(now, f"could not be started ({error})")
            return None
        status = self._collect()
        if status is None:
            return None
        if self.program.once and status == 0:
            self.finished = True
            return None
        if now - self._started_at >= HEALTHY_S:
            self._pause_s = PAUSE_S
        return self._start_later(now, _ending(status))

    def terminate(self) -> None:
        """Ask the process to end, but not what it started.

        A Celery worker ends its children when they are done.
        """
        if self._process:
            os.kill(self._process.pid, signal.SIGTERM)

    def ended(self) -> bool:
        """Whether it has ended since `terminate`, with everything that it started."""
        return self._process is None or self._collect() is not None

    def kill(self) -> None:
        """Kill the process and everything that it started."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            self._collect()

    def _start(self, now: float) -> None:
        supervisor = os.getpid()

        def prepare() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])  # the supervisor blocks what it waits for
            die_with_parent(supervisor)

        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - commands of shared.stack.programs
                self.program.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
                preexec_fn=prepare,
            )
        self._started_at = now
        self._start_time = start_time(self._process.pid) or 0

    def _start_later(self, now: float, reason: str) -> str:
        pause, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._next_start = now + pause
        self.restarts += 1
        return f"{self.program.name} {reason}; starts again in {pause:.0f} s. Its log: {self._log}"

    def _collect(self) -> int | None:
        """The exit status once it has ended (negative: the number of the signal); None while it runs."""
        process = self._process
        if process is None:
            return None
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        # Before the number is given back: what the process has left behind still bears it as its group.
        os.killpg(process.pid, signal.SIGKILL)
        self._process = None
        return process.wait()


def rotate(log: Path, over_bytes: int = 0) -> None:
    """Move the content of a log to `<log>.1` if it is long; its writer goes on writing to the same file.

    Args:
        log: the file.
        over_bytes: the length above which it is moved.
    """
    if log.exists() and log.stat().st_size > over_bytes:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def end_leftovers(children: Mapping[str, ChildRecord], folder: Path) -> list[str]:
    """Kill what the children of an earlier supervisor have left.

    A process belongs to them if it is in the session of a recorded child. Where the child itself, which led
    that session, has ended, the environment of the process must name this state folder as well.

    Args:
        children: as recorded, by the names of their programs.
        folder: of the state.

    Returns:
        The names of the programs concerned.
    """
    found: dict[psutil.Process, str] = {}
    sessions = {child.pid: name for name, child in children.items()}
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            name = sessions.get(leader := os.getsid(pid))
            if name is None:
                continue
            process, began = psutil.Process(pid), start_time(leader)
            # Not for a living child: Valkey overwrites its environment with its title.
            if began is None and process.environ().get("VOXMOOD_STATE") != str(folder):
                continue
            if began in (None, children[name].start_time):
                found[process] = name
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + KILL_LIMIT_S
    while any(start_time(process.pid) for process in found) and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(set(found.values()))


def _ending(status: int) -> str:
    names = {known.value: known.name for known in signal.Signals}
    return f"ended with status {status}" if status >= 0 else f"was ended by {names.get(-status, -status)}"
