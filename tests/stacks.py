"""Whole stacks for tests, as `voxmood up` starts them, and the processes of one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import NullPool, Row, create_engine, text

from shared.stack import programs
from shared.stack.state import Record, StateFolder
from tests.children import free_ports
from tests.postgres import running_postgres

VOXMOOD = Path(sys.executable).with_name("voxmood")
DATABASE = "VOXMOOD_TEST_DATABASE"  # sqlite or postgresql: what each stack of the tests runs on


@dataclass(frozen=True)
class Stack:
    """A stack of its own, and the command as a person would use it on that."""

    state: Path
    env: dict[str, str]

    @property
    def record(self) -> Record:
        record = StateFolder(self.state).record()
        assert record is not None, "no stack has run yet"
        return record

    @property
    def api_url(self) -> str:
        return self.record.api_url

    @property
    def flower_url(self) -> str:
        return self.record.flower_url

    @property
    def database_url(self) -> str:
        return self.record.database_url  # nothing is masked: the tests' PostgreSQL trusts the loopback

    def query(self, statement: str, **values: object) -> list[Row[Any]]:
        """The rows that this SQL gives; values by their names, as in `:job`."""
        engine = create_engine(self.database_url, poolclass=NullPool)
        with engine.connect() as connection:
            return list(connection.execute(text(statement), values))

    def voxmood(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `voxmood` with these arguments; it need not succeed."""
        options = {"capture_output": True, "text": True, "check": False, "env": self.env, **options}
        return subprocess.run([VOXMOOD, *arguments], **options)

    def up(self, *arguments: str) -> None:
        """Start it and wait until it is ready."""
        done = self.voxmood("up", "--detach", *arguments)
        logs = "".join(f"\n== {log.name}\n{log.read_text()[-2000:]}" for log in self.state.glob("logs/*.log"))
        assert done.returncode == 0, done.stderr + logs

    def down(self) -> None:
        """End it and look that nothing is left."""
        done = self.voxmood("down")
        assert done.returncode == 0, done.stderr
        left = processes_of(self.state)
        assert left == [], "these processes outlived `voxmood down`"

    def kill(self) -> None:
        """kill -9 of every process of it, as a power cut does."""
        for process in processes_of(self.state):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def running_stack(state: Path, *arguments: str, **settings: str) -> Iterator[Stack]:
    """A real `voxmood up --detach` on this state folder; settings: VOXMOOD_… of its own."""
    unset = {"PYTHONDONTWRITEBYTECODE", *(name for name in os.environ if name.startswith("VOXMOOD_"))}
    env = {name: value for name, value in os.environ.items() if name not in unset}
    with contextlib.ExitStack() as beside:
        if os.environ.get(DATABASE, "sqlite") == "postgresql" and "VOXMOOD_DATABASE_URL" not in settings:
            settings["VOXMOOD_DATABASE_URL"] = beside.enter_context(running_postgres())
        # Sentences are not broken into lines of 80 characters.
        stack = Stack(state, {**env, **settings, "VOXMOOD_STATE": str(state), "COLUMNS": "400"})
        prefer_unusual_ports(state)
        try:
            stack.up(*arguments)
            yield stack
        finally:
            if StateFolder(state).held():
                stack.down()


def prefer_unusual_ports(state: Path) -> None:
    """Tests take no port that a person's own stack would have; a folder's last ports are taken again."""
    folder = StateFolder(state)
    folder.make()
    with free_ports(*programs.USUAL_PORTS) as ports:
        unknown = dict.fromkeys(set(Record.model_fields) - {"workers", "ports", "supervisor", "children"}, "")
        folder.write(Record(**unknown, workers=1, ports=ports))


def processes_of(state: Path) -> list[psutil.Process]:
    """All living processes of the stack on this state folder."""
    recorded = StateFolder(state).record()
    sessions = [child.pid for child in recorded.children.values()] if recorded else []
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            # Valkey's environment cannot be read (it writes its title there), its session can.
            if os.getsid(process.pid) in sessions or process.environ().get("VOXMOOD_STATE") == str(state):
                found.append(process)
    return found
