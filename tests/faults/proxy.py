"""A proxy on real sockets before a server, which on command does to connections what networks do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal
from urllib.parse import urlsplit

from shared.stack.ports import LOOPBACK

# refuse: nobody listens. reset: a connection ends at its first byte. unavailable: each request is answered
# 503. cut: a connection ends inside the body. drip: what comes is passed on, but slowly.
Fault = Literal["refuse", "reset", "unavailable", "cut", "drip"]
FAULTS: tuple[Fault, ...] = ("refuse", "reset", "unavailable", "cut", "drip")

UNAVAILABLE = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# Of an answer of SeaweedFS the header has under 600 bytes, of a request of boto3 under 1,200.
CUT_AFTER_BYTES = 2_000
DRIP_BYTES, DRIP_S = 2_000, 0.02  # 100 kB a second
BLOCK_BYTES = 64_000


class Proxy:
    """Listens on a port of its own; `harmed` counts the connections that a fault has met."""

    def __init__(self, upstream: str, loop: asyncio.AbstractEventLoop) -> None:
        address = urlsplit(upstream)
        self._upstream = address.hostname, address.port
        self._loop = loop
        self._fault: Fault | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.harmed = 0

    @property
    def url(self) -> str:
        """What to name instead of the server behind it."""
        return f"http://{LOOPBACK}:{self.port}"

    def behave(self, fault: Fault | None) -> None:
        """From now on, for open connections too; None: as if it were not there."""
        asyncio.run_coroutine_threadsafe(self._behave(fault), self._loop).result(10)

    async def _behave(self, fault: Fault | None) -> None:
        self._fault = fault
        if fault == "refuse":
            await self.close()
        elif self._server is None:
            await self.listen()

    async def listen(self) -> None:
        """Begin to listen, again on the same port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more; open connections are reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            self.harmed += 1
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            from_server, to_server = await asyncio.open_connection(*self._upstream)
            writers = {writer, to_server}
            self._writers |= writers
            try:
                both = self._pump(reader, to_server, writer), self._pump(from_server, writer, None)
                tasks = [asyncio.ensure_future(one) for one in both]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                self._writers -= writers
                for one in writers:
                    one.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter | None
    ) -> None:
        """Pass on what comes until one side ends. `client`: whom to answer, on the way to the server."""
        passed = 0  # since the last block that went by without a fault
        while block := await reader.read(BLOCK_BYTES):
            match self._fault:
                case "reset":
                    self.harmed += 1
                    (client or writer).transport.abort()
                    return
                case "unavailable" if client is not None:
                    self.harmed += 1
                    client.write(UNAVAILABLE)
                    await client.drain()
                    return
                case "cut":
                    passed += len(block)
                    if passed > CUT_AFTER_BYTES:
                        self.harmed += 1
                        writer.write(block[: len(block) - (passed - CUT_AFTER_BYTES)])
                        await writer.drain()
                        return
                case "drip":
                    self.harmed += 1
                    for start in range(0, len(block), DRIP_BYTES):
                        writer.write(block[start : start + DRIP_BYTES])
                        await asyncio.sleep(DRIP_S)
                    continue
                case _:
                    passed = 0
            writer.write(block)
            await writer.drain()


@contextmanager
def running_proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy before the server at this address, `http://host:port`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), loop).result(10)

    proxy = Proxy(upstream, loop)
    call(proxy.listen)
    try:
        yield proxy
    finally:
        call(proxy.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
