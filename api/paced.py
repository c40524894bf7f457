"""Answers that are made block by block, each once the connection has taken the one before."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping

from anyio import CapacityLimiter, to_thread
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from api.heads import is_head
from shared.core.processes import trim_memory
from shared.database.paging import Pace

# A connection that takes longer for a block is slow. On a line of 10 Mbit/s 256 KiB take 0.2 s.
LAG_S = 0.5
TRIM_S = 1.0


class BlockThreads:
    """A few threads that make blocks of answers: so hundreds of readers leave the processor to others."""

    def __init__(self, threads: int) -> None:
        self.limiter = CapacityLimiter(threads)
        self._trims = False

    def trim_soon(self) -> None:
        """Give memory back in a moment: 300 readers who left had left holes of 25 MB."""
        if not self._trims:
            self._trims = True
            asyncio.get_running_loop().call_later(TRIM_S, self._trim)

    def _trim(self) -> None:
        self._trims = False
        asyncio.get_running_loop().run_in_executor(None, trim_memory)


class PacedResponse(Response):
    """A stream whose reader may be as slow as it likes: what it has not taken yet is one block.

    Starlette's own makes the next block while the one before still waits, in threads that others wait for.
    `pace` is told how the blocks are taken. A HEAD is answered without any being made.
    """

    def __init__(
        self,
        blocks: Generator[str] | Generator[bytes],
        threads: BlockThreads,
        pace: Pace | None = None,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str,
    ) -> None:
        self._blocks = blocks
        self._threads = threads
        self._pace = pace or Pace()
        self.status_code = status_code
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the blocks, each once the one before is taken."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        gone = asyncio.create_task(_until_gone(receive))
        try:
            while not is_head(scope) and not gone.done():
                made = await to_thread.run_sync(self._make, limiter=self._threads.limiter)
                if not made:
                    break
                await self._hand_over(made, send)
        finally:
            gone.cancel()
            self._blocks.close()
            self._threads.trim_soon()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _make(self) -> list[bytes]:
        """The next block; empty behind the last one."""
        block = next(self._blocks, None)
        return [] if block is None else [block.encode() if isinstance(block, str) else block]

    async def _hand_over(self, block: list[bytes], send: Send) -> None:
        """Send what the list holds, and wait until the connection has taken it."""
        slow = asyncio.get_running_loop().call_later(LAG_S, self._pace.lag)
        try:
            # Popped, so that from here on nobody but the connection holds it.
            await send({"type": "http.response.body", "body": block.pop(), "more_body": True})
            # uvicorn waits before it sends, not after: this nothing is what waits.
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        finally:
            slow.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
