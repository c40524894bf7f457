"""HEAD requests: wherever there is a GET, its headers without its body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """ASGI middleware: a HEAD request is answered as its GET, without the body.

    An answer that is made while it is sent need not be made then: see `is_head`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET", "voxmood.head": True}, receive, answer)


def is_head(scope: Scope) -> bool:
    """Whether this is a HEAD request, whose body nobody receives."""
    return "voxmood.head" in scope
