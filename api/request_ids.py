"""Each request has a number of its own: in its answer, in its log lines, and in what it is refused with."""

from __future__ import annotations

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.core import logs

HEADER = "X-Request-Id"
# Of a client's own nothing is taken that a log line or a header could be bent with.
_SANE = re.compile(r"[0-9A-Za-z._:/+=@-]{1,128}", re.ASCII)
_JOB = re.compile(r"/v1/jobs/(\d{1,19})(?:/.*)?", re.ASCII | re.DOTALL)


class RequestIds:
    """ASGI middleware: what is logged for /v1/jobs/12/… is about this request, and about job 12."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give one request its number, and its answer the same."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        number = given if _SANE.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = number

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = number
            await send(message)

        named = _JOB.fullmatch(scope["path"])
        about: dict[str, int | str] = {"request": number} | ({"job": int(named[1])} if named else {})
        with logs.about(**about):
            await self._app(scope, receive, answer)
