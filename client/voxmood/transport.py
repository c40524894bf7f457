"""How requests are sent, by httpx: for programs that wait, and for asyncio. All else is in common."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx

from voxmood import endpoints, requests
from voxmood.connection import TIMEOUT, Connection, export_note
from voxmood.errors import RequestRefused, ServerUnreachable, VoxmoodError
from voxmood.flows import Flow, Pause, Result, Turn
from voxmood.requests import Answer, Body, Listing, Request, Row


class Transport:
    """Sends requests and waits for their answers."""

    def __init__(
        self, server: str | None = None, *, api_key: str | None = None, http: httpx.Client | None = None
    ) -> None:
        self._connection = Connection.to(server, api_key)
        self._own = http is None
        self._http = http or httpx.Client(base_url=self.url, timeout=TIMEOUT, trust_env=False)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    def close(self) -> None:
        """Close the connections."""
        if self._own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: Request[Answer]) -> Answer:
        content = None if request.body is None else request.body.blocks()
        return request.parsed(self._send(request, content=content, json=request.json))

    def _send(self, request: Request[Any], **options: Any) -> httpx.Response:
        headers = {**self._connection.headers, **request.headers}
        try:
            return self._http.request(
                request.method, request.path, params=request.params or None, headers=headers, **options
            )
        except httpx.TransportError as error:
            raise ServerUnreachable(url=self.url) from error

    def _run(self, flow: Flow[Result]) -> Result:
        answer: Any = None
        error: VoxmoodError | None = None
        while True:
            try:
                step = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer, error = None, None
            try:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                else:
                    answer = self._ask(step)
            except VoxmoodError as failure:
                error = failure

    def _list(self, listing: Listing[Answer, Row]) -> Iterator[Row]:
        request: Request[Answer] | None = listing.first
        while request is not None:
            page = self._ask(request)
            yield from listing.read(page)
            request = listing.after(page)

    def _export(self, job: int, params: dict[str, Any], on_note: Callable[[str], object]) -> Iterator[bytes]:
        turn = Turn(on_note)
        while True:
            try:
                yield from self._stream(job, params, on_note)
            except RequestRefused as error:
                time.sleep(turn.pause_s(error))
            else:
                return

    def _stream(self, job: int, params: dict[str, Any], on_note: Callable[[str], object]) -> Iterator[bytes]:
        path, headers = endpoints.export_path(job), self._connection.headers
        try:
            with self._http.stream("GET", path, params=params, headers=headers) as response:
                if response.is_error:
                    response.read()
                    raise requests.refusal(response)
                if note := export_note(job, response):
                    on_note(note)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise ServerUnreachable(url=self.url) from error


class AsyncTransport:
    """The same for asyncio. Files are read in threads, so that nothing else waits for a disk."""

    def __init__(
        self, server: str | None = None, *, api_key: str | None = None, http: httpx.AsyncClient | None = None
    ) -> None:
        self._connection = Connection.to(server, api_key)
        self._own = http is None
        self._http = http or httpx.AsyncClient(base_url=self.url, timeout=TIMEOUT, trust_env=False)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    async def close(self) -> None:
        """Close the connections."""
        if self._own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, request: Request[Answer]) -> Answer:
        content = None if request.body is None else _blocks(request.body)
        return request.parsed(await self._send(request, content=content, json=request.json))

    async def _send(self, request: Request[Any], **options: Any) -> httpx.Response:
        headers = {**self._connection.headers, **request.headers}
        try:
            return await self._http.request(
                request.method, request.path, params=request.params or None, headers=headers, **options
            )
        except httpx.TransportError as error:
            raise ServerUnreachable(url=self.url) from error

    async def _run(self, flow: Flow[Result]) -> Result:
        answer: Any = None
        error: VoxmoodError | None = None
        while True:
            try:
                step = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer, error = None, None
            try:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                else:
                    answer = await self._ask(step)
            except VoxmoodError as failure:
                error = failure

    async def _list(self, listing: Listing[Answer, Row]) -> AsyncIterator[Row]:
        request: Request[Answer] | None = listing.first
        while request is not None:
            page = await self._ask(request)
            for row in listing.read(page):
                yield row
            request = listing.after(page)

    async def _export(
        self, job: int, params: dict[str, Any], on_note: Callable[[str], object]
    ) -> AsyncIterator[bytes]:
        turn = Turn(on_note)
        while True:
            try:
                async for block in self._stream(job, params, on_note):
                    yield block
            except RequestRefused as error:
                await asyncio.sleep(turn.pause_s(error))
            else:
                return

    async def _stream(
        self, job: int, params: dict[str, Any], on_note: Callable[[str], object]
    ) -> AsyncIterator[bytes]:
        path, headers = endpoints.export_path(job), self._connection.headers
        try:
            async with self._http.stream("GET", path, params=params, headers=headers) as response:
                if response.is_error:
                    await response.aread()
                    raise requests.refusal(response)
                if note := export_note(job, response):
                    on_note(note)
                async for block in response.aiter_bytes():
                    yield block
        except httpx.TransportError as error:
            raise ServerUnreachable(url=self.url) from error


async def _blocks(body: Body) -> AsyncIterator[bytes]:
    blocks = body.content.read(body.start)
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block
        body.on_sent(len(block))
