"""A receiver of webhooks: a real HTTP server on the loopback that remembers what it was told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.waiting import wait_for


@dataclass
class Receiver:
    """Answers each request with the next of `answers`, then with 204; `before` runs ahead of each answer."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    told: list[tuple[Message, bytes]] = field(default_factory=list)

    def wait(self, count: int, limit_s: float = 30) -> None:
        """Until so many requests have come."""
        wait_for(
            lambda: len(self.told) >= count,
            limit_s,
            lambda: f"{len(self.told)} of {count} requests came in {limit_s} s",
        )


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Listens until the end of the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.told.append((self.headers, body))
            receiver.before()
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.send_header("Location", receiver.url + "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?token=1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
