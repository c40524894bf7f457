"""What a client may cost: bytes and time for headers, bodies and answers.

Time is measured as progress, so that an upload of hours passes and one that drips does not. Only the time
that this process waits for the client counts, not the time that it is busy with what came.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

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
# How much of an answer the kernel may buffer for a connection; by default up to 4 MB.
UNSENT_BYTES = 128 * 1024


class Limits:
    """ASGI middleware: a body that is too large is 413, one that stops coming 408, and the connection ends.

    Uploads (PUT) have their own limit of bytes, in api.receiving. What an upload has acknowledged stays.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._timeout_s = settings.body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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


def protocol(settings: Settings) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP protocol with what it lacks: a limit of time for headers, and for readers that stop."""

    class Impatient(H11Protocol):
        """Ends a connection that shows no whole header, or takes nothing of an answer, in the given time."""

        _deadline: asyncio.TimerHandle | None = None
        _reading: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if (sent := transport.get_extra_info("socket")) is not None:
                sent.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            self._await_header()

        def handle_events(self) -> None:
            super().handle_events()
            if self.cycle is not None and not self.cycle.response_complete:
                _cancel(self._deadline)

        def on_response_complete(self) -> None:
            # Also where a body follows that nobody has asked for. The idle are ended sooner by uvicorn.
            self._await_header()
            super().on_response_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._await_reader(self.transport.get_write_buffer_size())

        def resume_writing(self) -> None:
            _cancel(self._reading)
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            _cancel(self._deadline)
            _cancel(self._reading)
            super().connection_lost(exc)

        def _await_header(self) -> None:
            _cancel(self._deadline)
            self._deadline = self.loop.call_later(settings.header_timeout_s, self.transport.close)

        def _await_reader(self, waiting: int) -> None:
            self._reading = self.loop.call_later(settings.body_timeout_s, self._look_at_reader, waiting)

        def _look_at_reader(self, waiting: int) -> None:
            left = self.transport.get_write_buffer_size()
            if left < waiting:
                self._await_reader(left)
            else:
                self.transport.abort()  # close() would wait for the reader

    return Impatient


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
