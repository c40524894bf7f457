"""Who asks, and what they may.

`Gate` stands before every route and lets in whoever shows a valid API key. Without a key it lets in nobody,
except in the one-machine default: there the API listens on loopback, and its Host and Origin show that no
web page elsewhere speaks through this machine's browser (DNS rebinding, cross-site requests).
Each route under /v1 then names the scope that it `Needs`, and takes the jobs of its caller alone (`OwnJob`).
What a proxy says of the request it forwards is believed nowhere.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api import documentation
from api.problems import problem_of
from api.services import Wired
from shared.core import api_keys as keys
from shared.core.api_keys import Scope as KeyScope
from shared.core.errors.access import (
    ForeignHost,
    ForeignOrigin,
    HostNotAllowed,
    KeyExpired,
    KeyNeeded,
    KeyNeededBehindProxy,
    MalformedKey,
    MissingScope,
    UnknownKey,
)
from shared.core.errors.base import VoxmoodError
from shared.core.errors.requests import UnknownJob
from shared.core.settings import Settings
from shared.database import jobs
from shared.database import keys as stored_keys
from shared.database.keys import LAST_USED_EVERY_S, KeyState
from shared.database.sessions import Database, DatabaseError

log = logging.getLogger(__name__)
# What says nothing of anybody's recordings.
FREE = ("/health/live", "/health/ready", *documentation.PATHS, documentation.OPENAPI)
# Names, and addresses that no name can be made to point to.
_LOCAL = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_BEARER = HTTPBearer(auto_error=False, description="an API key: `voxmood keys create` makes one")
JobId = Annotated[int, Path(ge=1, le=2**63 - 1, description="the job's id")]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `key_id` is None where no key was asked for: that is the machine's owner."""

    key_id: int | None
    scopes: frozenset[KeyScope]

    @property
    def only(self) -> int | None:
        """The key whose jobs alone this caller may see; None: all jobs."""
        return None if KeyScope.ADMIN in self.scopes else self.key_id


OWNER = Caller(None, frozenset({KeyScope.ADMIN}))


class Gate:
    """ASGI middleware: finds the caller before a byte of the body is read, or refuses the request."""

    def __init__(self, app: ASGIApp, settings: Settings, database: Database) -> None:
        self._app = app
        self._asks_for_key = settings.asks_for_key
        self._allowed_hosts = frozenset(settings.allowed_hosts)
        self._database = database
        self._uses = _Uses(database)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the caller and hand the request on, or refuse it."""
        if scope["type"] == "http":
            try:
                caller = await self._caller(Headers(scope=scope), scope["path"])
            except VoxmoodError as error:
                await problem_of(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    async def _caller(self, headers: Headers, path: str) -> Caller | None:
        """None on free paths alone."""
        host = headers.get("host", "")
        if path in FREE:
            if not self._asks_for_key:
                _check_local(headers, host)
            return None
        if self._allowed_hosts and host not in self._allowed_hosts:
            raise HostNotAllowed(host=repr(host))
        if "authorization" in headers:
            return await run_in_threadpool(self._of_key, headers["authorization"])
        if self._asks_for_key:
            raise KeyNeeded
        _check_local(headers, host)
        for header in _FORWARDED:
            if header in headers:
                raise KeyNeededBehindProxy(header=header)
        return OWNER

    def _of_key(self, authorization: str) -> Caller:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not keys.is_key(key.strip()):
            raise MalformedKey
        with self._database.read() as connection:
            row = stored_keys.find_key(connection, self._database, key.strip())
        if row is None:
            raise UnknownKey
        if row.state == KeyState.EXPIRED:
            raise KeyExpired(prefix=row.prefix)
        self._uses.note(row.id)
        return Caller(row.id, frozenset(row.scopes))


def _check_local(headers: Headers, host: str) -> None:
    if not _LOCAL.fullmatch(host):
        raise ForeignHost(host=repr(host))
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
        raise ForeignOrigin(origin=repr(origin))
    # Browsers leave Origin out of many a GET, but not this.
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ForeignOrigin(origin="another site")


class _Uses:
    """Writes when a key was last used, at most once a minute, beside the requests: none waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[int, float] = {}
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, "last-used")

    def note(self, key_id: int) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._noted.get(key_id, -LAST_USED_EVERY_S) < LAST_USED_EVERY_S:
                return
            self._noted[key_id] = now
        self._writer.submit(self._write, key_id)

    def _write(self, key_id: int) -> None:
        try:
            with self._database.write() as connection:
                stored_keys.note_use(connection, self._database, key_id)
        except (VoxmoodError, DatabaseError):
            log.warning("key %d: its last use could not be written", key_id, exc_info=True)


async def _caller(request: Request) -> Caller:  # async: a thread would be waited for
    return cast("Caller", request.state.caller)


# For what depends on its caller inside a route that names its scope.
Asker = Annotated[Caller, Depends(_caller)]


class Needs:
    """What a route asks of its caller: any of these scopes. `admin` holds all."""

    def __init__(self, *scopes: KeyScope) -> None:
        self.scopes = scopes

    async def __call__(
        self, caller: Annotated[Caller, Depends(_caller)], _: Annotated[object, Depends(_BEARER)]
    ) -> Caller:
        """The caller, if one of the scopes is theirs; else MissingScope."""
        if not caller.scopes & {*self.scopes, KeyScope.ADMIN}:
            raise MissingScope(needed=" or ".join(self.scopes), scopes=", ".join(sorted(caller.scopes)))
        return caller


Submitter = Annotated[Caller, Depends(Needs(KeyScope.SUBMIT))]
Reader = Annotated[Caller, Depends(Needs(KeyScope.READ))]
# Who only submits may look how far that is.
Follower = Annotated[Caller, Depends(Needs(KeyScope.READ, KeyScope.SUBMIT))]
Labeller = Annotated[Caller, Depends(Needs(KeyScope.LABEL))]
LabelReader = Annotated[Caller, Depends(Needs(KeyScope.READ, KeyScope.LABEL))]
Admin = Annotated[Caller, Depends(Needs(KeyScope.ADMIN))]


def _own_job(job_id: JobId, services: Wired, caller: Asker) -> int:
    with services.database.read() as connection:
        if jobs.job_row(connection, job_id, caller.only) is None:
            raise UnknownJob(job=job_id)
    return job_id


# Another's job is an unknown one. A job never changes its key, so this holds for the whole request.
OwnJob = Annotated[int, Depends(_own_job)]
