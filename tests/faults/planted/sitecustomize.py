"""Faults that tests plant into a stack's processes; on PYTHONPATH of such a stack, never of the product.

A fault is armed by a file in the folder VOXMOOD_PLANTED: its name is the place, its text `KILL` or `STOP`.
The first process that comes to the place takes the file (whose name then ends in the process's number) and
sends itself that signal. While there is a file `doubled`, every bell rings twice. Clips whose bytes hold
`planted: crash`, `endless` or `memory` harm whoever decodes them. tests/faults/planting.py arms and looks.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import resource
import runpy
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(os.environ.get("VOXMOOD_PLANTED", os.devnull))
EATEN_BYTES = 1500 * 2**20  # more than a child may have (worker_memory_bytes)


def reached(place: str) -> None:
    """If a fault is armed here, it strikes this process."""
    armed = FOLDER / place
    try:
        name = armed.read_text()
        armed.rename(f"{armed}.{os.getpid()}")
    except OSError:
        return  # not armed, or another process was the first
    os.kill(os.getpid(), signal.Signals[f"SIG{name}"])


def before(owner: Any, name: str, place: Callable[..., str]) -> None:
    """Each call of `owner.name` comes to `place(*arguments)` first."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(*arguments: Any, **options: Any) -> Any:
        reached(place(*arguments, **options))
        return original(*arguments, **options)

    setattr(owner, name, call)


def after(owner: Any, name: str, place: str) -> None:
    """Each call of `owner.name` comes to `place` at its end."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        reached(place)
        return result

    setattr(owner, name, call)


def unpacking(module: Any) -> None:
    """The steps of a shard boundary, with the number of the next member, or `last`."""
    boundary = ""

    def begins(self: Any, **end: Any) -> str:
        nonlocal boundary
        boundary = "last" if end else str(self.batch.next_member)
        return f"unpack.before_put.{boundary}"

    before(module.Unpacking, "_boundary", begins)
    before(module.Unpacking, "_commit", lambda *_: f"unpack.before_commit.{boundary}")
    # What unpack does first after a commit that made a unit.
    before(module.leases, "bells_for", lambda *_: f"unpack.before_bell.{boundary}")


def classifying(module: Any) -> None:
    """All of a shard is computed, and nothing of it committed."""
    before(module.Classifying, "complete", lambda *_: "classify.before_commit")


def receiving(module: Any) -> None:
    """A part of an upload lies in the store: before its row says so, and after."""
    after(module.Receiver, "_acknowledge", "api.after_row")


def storing(module: Any) -> None:
    """See `receiving`."""
    after(module.Storage, "put_part", "store.after_part")


def ringing(module: Any) -> None:
    """Every message is delivered twice."""
    ring = module.Doorbell.ring

    def rings(self: Any, bells: Any) -> None:
        bells = list(bells)
        ring(self, bells * 2 if (FOLDER / "doubled").exists() else bells)

    module.Doorbell.ring = rings


def decoding(module: Any) -> None:
    """Clips that harm their decoder."""
    for name in ("decode", "Stream"):  # whole recordings are streamed
        setattr(module, name, _harmed(getattr(module, name)))


def _harmed(decode: Any) -> Any:
    def harmed(content: Any, *arguments: Any, **options: Any) -> Any:
        body = content if isinstance(content, bytes) else content.read()
        if body is not content:
            content.seek(0)
        if b"planted: crash" in body:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.abort()
        while b"planted: endless" in body:
            time.sleep(1)
        if b"planted: memory" in body:
            bytearray(b"x" * EATEN_BYTES)
        return decode(content, *arguments, **options)

    return harmed


PLANTS: dict[str, Callable[[Any], None]] = {
    "workers.unpack": unpacking,
    "workers.classify": classifying,
    "api.receiving": receiving,
    "shared.store.objects": storing,
    "shared.jobs.doorbell": ringing,
    "shared.models.serving.classifier": decoding,
}


class Planter(importlib.abc.MetaPathFinder):
    """Finds the modules of PLANTS where they are, and plants into each once it has been executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in PLANTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def planted(module: ModuleType) -> None:
                execute(module)
                PLANTS[fullname](module)

            spec.loader.exec_module = planted  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Planter())
# The machine's own sitecustomize, which this one hides.
_elsewhere = [place for place in sys.path if Path(place) != Path(__file__).parent]
_hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", _elsewhere)
if _hidden is not None and _hidden.origin is not None:
    runpy.run_path(_hidden.origin)
