"""A webhook that the server sends is genuine, and one that somebody has touched is not."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from voxmood.client import Client
from voxmood.errors import UnverifiedWebhook
from voxmood.states import JobState
from voxmood.webhooks import read_webhook, verify


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]], threading.Event]]:
    """An address, what came there, and whether something has."""
    came: list[tuple[dict[str, str], bytes]] = []
    has_come = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()
            has_come.set()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ended", came, has_come
        server.shutdown()


def test_the_end_of_a_job_is_told_and_proved(client: Client, archive: Path) -> None:
    secret = os.environ["VOXMOOD_WEBHOOK_SECRET"]
    with receiver() as (address, came, has_come):
        job = client.submit(archive, webhook=address)
        assert has_come.wait(120), "nothing was told"
    headers, body = came[0]
    told = read_webhook(body, headers, secret)
    assert (told.id, told.state) == (job.id, JobState.DONE)
    assert verify(body, headers, secret).startswith("msg_")
    with pytest.raises(UnverifiedWebhook, match="its signature"):
        read_webhook(body.replace(b"done", b"open"), headers, secret)
