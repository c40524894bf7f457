"""What the body of a request may cost: bytes, and time that nothing comes.

Time is measured as progress, so that an upload of hours passes and one that drips does not. Only the time
that this process waits for the client counts, not the time that it is busy with what came.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import labels
from api.problems import problem_of
from shared.core.errors.base import VoxmoodError
from shared.core.errors.requests import BodyStalled, BodyTooLarge
from shared.core.settings import MEBIBYTE, Settings

BODY_BYTES = MEBIBYTE
# 10,000 labels as `voxmood label import` sends them take 1.5 MB; with every field at its longest, 6 MB.
LABELS_BYTES = 8 * MEBIBYTE
# A body that brings less in VOXMOOD_BODY_TIMEOUT_S is cut off as too slow: 137 bytes a second.
LEAST_BYTES = 4096


class Limits:
    """ASGI middleware: a body that is too large is 413, one that stops coming 408, and the connection ends.

    Uploads (PUT) have their own limit of bytes, in api.receiving. What an upload has acknowledged stays.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._timeout_s = settings.body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request on, with its body within the limits, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, _limit(scope), self._timeout_s)
        body.refuse_announced(scope)
        # Before the application; of an upload once it has looked whether there is room: see `begun`.
        if not _is_upload(scope):
            await body.begin()
        is_begun = False

        async def answer(message: Message) -> None:
            nonlocal is_begun
            if body.refusal is None or is_begun:
                is_begun = True
                await send(message)

        if body.refusal is None:
            await self._app(scope, body.receive, answer)
        if body.refusal is not None and not is_begun:
            # Else the rest of the body would keep the connection.
            refused = problem_of(body.refusal)
            refused.headers["Connection"] = "close"
            await refused(scope, receive, send)


async def begun(body: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    """The same body, once it has brought what shows that this is no dripper, or has ended."""
    held = bytearray()
    async for chunk in body:
        held += chunk
        if len(held) >= LEAST_BYTES:
            break

    async def whole() -> AsyncIterator[bytes]:
        yield bytes(held)
        async for chunk in body:
            yield chunk

    return whole()


def _is_upload(scope: Scope) -> bool:
    return bool(scope["method"] == "PUT")


def _limit(scope: Scope) -> int | None:
    """Bytes that the body may have; None: its route counts."""
    if _is_upload(scope):
        return None
    return LABELS_BYTES if scope["path"] == labels.router.prefix else BODY_BYTES


class _Body:
    """A request's body as it comes. Once refused, the application hears that the client has gone."""

    def __init__(self, receive: Receive, limit_bytes: int | None, timeout_s: float) -> None:
        self.refusal: VoxmoodError | None = None
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_s
        self._left_s = timeout_s
        self._brought = 0  # since the time was last filled up
        self._received = 0
        self._is_whole = False
        self._ahead: deque[Message] = deque()

    def refuse_announced(self, scope: Scope) -> None:
        """Refuse a body that says itself that it is too large, before any of it is read."""
        for name, value in scope["headers"]:
            if name == b"content-length":
                self._count(int(value))

    async def begin(self) -> None:
        """Read ahead what shows that this is no dripper."""
        while self.refusal is None and not self._is_whole and self._received < LEAST_BYTES:
            self._ahead.append(await self._next())

    async def receive(self) -> Message:
        """The next message, as the application asks for it."""
        if self._ahead:
            return self._ahead.popleft()
        if self._is_whole:  # what comes now is the client's going, and may take long
            return await self._receive()
        return await self._next()

    async def _next(self) -> Message:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError:
            self.refusal = BodyStalled(seconds=self._timeout_s, least=LEAST_BYTES)
            return {"type": "http.disconnect"}
        self._left_s -= loop.time() - began
        size = len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        self._brought += size
        self._received += size
        if self._brought >= LEAST_BYTES:
            self._left_s, self._brought = self._timeout_s, 0
        self._count(self._received)
        return message if self.refusal is None else {"type": "http.disconnect"}

    def _count(self, size: int) -> None:
        if self._limit_bytes is not None and size > self._limit_bytes:
            self.refusal = BodyTooLarge(limit_bytes=self._limit_bytes)
