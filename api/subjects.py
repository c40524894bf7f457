"""Log lines of a request name its job."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from shared import logs

_JOB = re.compile(r"/v1/jobs/(\d{1,19})(?:/.*)?", re.ASCII | re.DOTALL)


class Subjects:
    """ASGI middleware: what is logged for /v1/jobs/12/… is about job 12."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = _JOB.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if named is None:
            await self._app(scope, receive, send)
            return
        with logs.about(job=int(named[1])):
            await self._app(scope, receive, send)
