"""Uvicorn's HTTP protocol with what it lacks: limits of time for headers, and for readers that stop."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.core.settings import Settings

# How much of an answer the kernel may buffer for a connection; by default up to 4 MB.
UNSENT_BYTES = 128 * 1024


def protocol(settings: Settings) -> type[asyncio.Protocol]:
    """The protocol with the limits of these settings."""

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
