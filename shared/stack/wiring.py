"""The one place that decides which programs a stack has, where they listen, and their environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shared.core.errors.infrastructure import DatabaseUnavailable
from shared.core.errors.stack import PortTaken
from shared.core.settings import Settings
from shared.database import upgrade
from shared.database.sessions import Database, DatabaseError
from shared.stack import programs
from shared.stack.ports import LOOPBACK, Ports, candidates
from shared.stack.programs import Program
from shared.stack.state import Record, StateFolder

log = logging.getLogger("voxmood.stack")

BUCKET = "voxmood"
# A server that listens on all addresses is reached on this one.
EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - to tell it apart, not to listen there
SQLITE = "sqlite:///"
CHILD_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
UNWANTED = {
    "PYTHONDONTWRITEBYTECODE",  # without compiled bytecode `import tensorflow` takes 25 s instead of 5
    "CELERY_BROKER_URL",  # Celery would prefer it to ours
    "VOXMOOD_API_KEY",  # the user's own; the page has another
    "VOXMOOD_PAGE_KEY",
}


@dataclass(frozen=True)
class Wiring:
    """A stack before it runs.

    Attributes:
        record: what stack.json will say.
        programs: what will run.
        environment: of all programs.
    """

    record: Record
    programs: list[Program]
    environment: dict[str, str]


def wire(folder: StateFolder, ports: Ports, *, workers: int, api_port: int | None) -> Wiring:
    """Decide on ports, addresses, secrets and programs.

    VOXMOOD_DATABASE_URL, VOXMOOD_BROKER_URL and VOXMOOD_S3_ENDPOINT of the user name servers that run
    elsewhere; the latter two are then not started here.

    Args:
        folder: of the state.
        ports: claims ports.
        workers: children of the worker that classifies.
        api_port: of the API; None: the first that is free.

    Raises:
        PortTaken: another program listens on `api_port`.
        ServerMissing: the wheel of a server is not installed.
        DatabaseNewer: the database is of a newer voxmood.
    """
    given = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    last = folder.record()
    chosen = _ports(ports, last.ports if last else {}, api_port)
    environment = {
        **given,
        **CHILD_ENVIRONMENT,
        **_without_proxy(given),
        "VOXMOOD_STATE": str(folder.path),
        "VOXMOOD_DATABASE_URL": _database(given, folder.path),
        "VOXMOOD_API_PORT": str(chosen["api"]),
        "VOXMOOD_WORKERS": str(workers),
        "VOXMOOD_SPOOL_DIR": given.get("VOXMOOD_SPOOL_DIR", str(folder.path / "spool")),
    }
    for folder_name in ("VOXMOOD_MODELS_DIR", "VOXMOOD_TRAINED_DIR", "VOXMOOD_SPOOL_DIR"):
        if folder_name in given:
            environment[folder_name] = str(Path(given[folder_name]).absolute())
    _check_database(environment["VOXMOOD_DATABASE_URL"])
    credentials = folder.credentials()
    started = programs.application(folder.path, workers, chosen["flower"])
    if "VOXMOOD_S3_ENDPOINT" not in given:
        environment["VOXMOOD_S3_ENDPOINT"] = f"http://{LOOPBACK}:{chosen['s3']}"
        environment["VOXMOOD_S3_ACCESS_KEY"] = access_key = credentials.s3_access_key
        environment["VOXMOOD_S3_SECRET_KEY"] = secret_key = credentials.s3_secret_key
        environment["VOXMOOD_S3_BUCKET"] = bucket = given.get("VOXMOOD_S3_BUCKET", BUCKET)
        environment["VOXMOOD_STORE_DIR"] = str(folder.path / "store")
        started.insert(0, programs.store(folder.path / "store", chosen, access_key, secret_key, bucket))
    if "VOXMOOD_BROKER_URL" not in given:
        password = credentials.queue_password
        environment["VOXMOOD_BROKER_URL"] = f"redis://:{password}@{LOOPBACK}:{chosen['queue']}/0"
        started.insert(0, programs.queue(folder.path / "queue", chosen["queue"], password))
    record = _record(folder, environment, chosen, workers)
    page_key = credentials.page_key if Settings().asks_for_key else None
    if page_key:
        started.append(programs.page_key(page_key))
    started.append(programs.page(chosen["page"], record.api_url, page_key))
    return Wiring(record, started, environment)


def _ports(ports: Ports, last: Mapping[str, int], api_port: int | None) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for name, usual in programs.USUAL_PORTS.items():
        wished = candidates(usual, last.get(name))
        if name == "api" and api_port is not None:
            wished = [api_port]
        port = ports.choose(wished, offsets=programs.offsets(name))
        if port is None:
            raise PortTaken(port=wished[0])
        chosen[name] = port
    return chosen


def _without_proxy(given: Mapping[str, str]) -> dict[str, str]:
    """Exempt the loopback from the proxies of the environment: boto3 would look for the store behind one."""
    named = given.get("no_proxy") or given.get("NO_PROXY")
    exempt = ",".join(filter(None, (named, LOOPBACK, "localhost")))
    return {"no_proxy": exempt, "NO_PROXY": exempt}


def _database(given: Mapping[str, str], folder: Path) -> str:
    """The address of the database. Programs run in the state folder, so a relative path is made absolute."""
    named = given.get("VOXMOOD_DATABASE_URL", f"{SQLITE}{folder / 'voxmood.db'}")
    if named.startswith(SQLITE):
        return SQLITE + str(Path(named.removeprefix(SQLITE)).absolute())
    return named


def _check_database(url: str) -> None:
    """Refuse a database of a newer voxmood.

    A database that does not answer is not refused: the programs wait for it.
    """
    if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).exists():
        return
    database = Database(url)
    try:
        upgrade.check(database)
    except (DatabaseUnavailable, DatabaseError) as error:
        log.debug("the database's schema is not known yet: %s", error)
    finally:
        database.close()


def _record(
    folder: StateFolder, environment: Mapping[str, str], ports: dict[str, int], workers: int
) -> Record:
    host = environment.get("VOXMOOD_API_HOST", LOOPBACK)
    reached = EVERYWHERE.get(host, host)
    api_url = f"http://{f'[{reached}]' if ':' in reached else reached}:{ports['api']}"
    return Record(
        state_dir=str(folder.path),
        api_url=api_url,
        docs_url=f"{api_url}/docs",
        flower_url=f"http://{LOOPBACK}:{ports['flower']}",
        page_url=f"http://{LOOPBACK}:{ports['page']}",
        database_url=_masked(environment["VOXMOOD_DATABASE_URL"]),
        broker_url=_masked(environment["VOXMOOD_BROKER_URL"]),
        s3_endpoint=_masked(environment["VOXMOOD_S3_ENDPOINT"]),
        logs=str(folder.logs),
        workers=workers,
        ports=ports,
    )


def _masked(address: str) -> str:
    """An address without its password."""
    password = urlsplit(address).password
    return address.replace(f":{password}@", ":***@") if password else address
