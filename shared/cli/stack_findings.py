"""What `voxmood doctor` finds of a stack: processes, ports, database, servers, and what its API says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from shared.core.errors.base import VoxmoodError
from shared.core.settings import Settings
from voxmood.documents import Readiness

if TYPE_CHECKING:
    from shared.stack.state import Record, StateFolder

from shared.cli.findings import Finding


def examine_stack(
    folder: StateFolder, settings: Settings, server: str | None, running: Record | None
) -> Iterator[Finding]:
    """All of them.

    Args:
        folder: the state folder.
        settings: as the stack has them.
        server: an API elsewhere, to be asked instead of the stack's.
        running: the record of the stack that runs on the folder, if one does.
    """
    yield _stack(folder, running)
    yield from _parts(folder, running) if running else _ports()
    yield _database(folder, settings, running)
    yield from _servers(settings)
    if url := server or (running and running.api_url):
        yield from _health(url, running)


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
