"""The state folder of one stack: who runs on it, where it answers, and its secrets.

Its files are `lock`, held (flock) by the supervisor as long as it lives; `stack.json`, with addresses, ports
and processes, but no secrets; `credentials.json`, the secrets, made at the first start and kept;
`voxmood.db`, the SQLite database, unless VOXMOOD_DATABASE_URL names another; and the folders queue/, store/,
beat/ and logs/.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from shared.core.api_keys import new_key
from shared.core.errors.stack import AlreadyRunning, DiskFull, StateUnusable
from shared.core.processes import start_time
from voxmood.files import written_whole

MEGABYTE = 10**6
NEEDED_BYTES = 200 * MEGABYTE  # a shard, an upload's part and the logs have room
LOCK_WAIT_S = 1.0  # `down` and `up` look at the lock by taking it for a moment


class Identity(BaseModel):
    """Identifies a process among all others: its number and its start time (ticks since boot)."""

    pid: int
    start_time: int

    def alive(self) -> bool:
        """Whether the process still runs."""
        return start_time(self.pid) == self.start_time


class ChildRecord(Identity):
    """The process of a program, which leads a session of its own."""

    restarts: int = 0


class Record(BaseModel):
    """The content of stack.json. It holds no secret: passwords in addresses are masked."""

    state_dir: str
    api_url: str
    docs_url: str
    flower_url: str
    page_url: str = ""  # not in the records of stacks from before there was a page
    database_url: str
    broker_url: str
    s3_endpoint: str
    logs: str
    workers: int
    ports: dict[str, int] = {}
    supervisor: Identity | None = None
    children: dict[str, ChildRecord] = {}


class Credentials(BaseModel):
    """The secrets between the stack's own programs."""

    s3_access_key: str
    s3_secret_key: str
    queue_password: str
    page_key: str = ""  # not in the credentials of stacks from before there were keys


class StateFolder:
    """The folder, created when missing; only its owner may enter it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self._lock: IO[str] | None = None

    def make(self) -> None:
        """Create the folder.

        Raises:
            StateUnusable: it cannot be created or written to.
            DiskFull: its disk has too little room.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("logs", "beat"):
                (self.path / name).mkdir(exist_ok=True)
            (self.path / "lock").touch()
        except OSError as error:
            raise StateUnusable(path=self.path, reason=error.strerror) from error
        free = shutil.disk_usage(self.path).free
        if free < NEEDED_BYTES:
            needed_mb = NEEDED_BYTES // MEGABYTE
            raise DiskFull(path=self.path, free_mb=free // MEGABYTE, needed_mb=needed_mb)

    def log(self, part: str) -> Path:
        """The log of a program."""
        return self.logs / f"{part}.log"

    # --- the lock ----------------------------------------------------------------------------------
    def lock(self) -> None:
        """Take the folder for this process, and for those forked from it, until all of them end.

        Raises:
            AlreadyRunning: a supervisor holds it.
        """
        deadline = time.monotonic() + LOCK_WAIT_S
        while not self._try_lock():
            if time.monotonic() > deadline:
                record = self.record()
                pid = record.supervisor.pid if record and record.supervisor else "unknown"
                api_url = record.api_url if record else "address not known yet"
                raise AlreadyRunning(state_dir=self.path, api_url=api_url, pid=pid)
            time.sleep(0.05)

    def unlock(self) -> None:
        """Leave the lock to the processes that were forked from this one; the last one's end opens it."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def held(self) -> bool:
        """Whether another process holds the lock."""
        if not self.path.exists():
            return False
        free = self._try_lock()
        self.unlock()
        return not free

    def _try_lock(self) -> bool:
        file = (self.path / "lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._lock = file
        return True

    # --- the files -----------------------------------------------------------------------------------
    def record(self) -> Record | None:
        """The last record; None where there is none, or where the file is unreadable."""
        try:
            return Record.model_validate_json((self.path / "stack.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, record: Record) -> None:
        """Write the record."""
        self._replace("stack.json", record.model_dump_json(indent=2) + "\n")

    def credentials(self) -> Credentials:
        """The secrets; made at the first call."""
        path = self.path / "credentials.json"
        if path.exists():
            made = Credentials.model_validate_json(path.read_bytes())
            if made.page_key:
                return made
            made.page_key = new_key()
        else:
            made = Credentials(
                s3_access_key=secrets.token_hex(10),
                s3_secret_key=secrets.token_hex(32),
                queue_password=secrets.token_hex(32),
                page_key=new_key(),
            )
        self._replace(path.name, made.model_dump_json(indent=2) + "\n")
        return made

    def _replace(self, name: str, text: str) -> None:
        """Write a file that only the owner can read; it is complete at every moment, the old or the new."""
        with written_whole(self.path / name) as partial:
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
