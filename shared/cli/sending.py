"""Sending uploads so that nothing is sent twice: over broken connections, and after a killed `submit`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, TaskID

from shared.cli.console import say, transfer_progress
from shared.errors.base import VoxmoodError
from shared.errors.surroundings import RequestRefused, ServerUnreachable
from shared.settings import default_state_dir

if TYPE_CHECKING:
    from shared.client import Client
    from shared.packing import Sendable

# Waits between tries after a broken connection: 1 + 2 + 4 + … s, about two minutes in all.
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Notes:
    """The jobs that a `submit` began and did not start, by what they send; one small file each."""

    def __init__(self, url: str, digest: str) -> None:
        self._file = default_state_dir() / "submits" / f"{digest}.json"
        self._url = url

    def job(self) -> int | None:
        """The job that an earlier, killed `submit` of the same began on this server."""
        try:
            note = json.loads(self._file.read_text())
            return int(note["job"]) if note["url"] == self._url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, job: int) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"url": self._url, "job": job}))

    def remove(self) -> None:
        self._file.unlink(missing_ok=True)


def unfinished_job(client: Client, notes: Notes) -> dict[str, Any] | None:
    """The open job of a killed `submit`, if the server still has it."""
    job = notes.job()
    if job is None:
        return None
    try:
        document = client.job(job)
    except RequestRefused:
        return None
    given_up = any(upload["state"] == "failed" for upload in document["uploads"])
    return document if document["state"] == "open" and not given_up else None


def send(client: Client, job: int, contents: dict[str, Sendable]) -> None:
    """Send each upload that the server does not have whole; goes on where an earlier try broke off."""
    with transfer_progress() as bar:
        for name, content in contents.items():
            task = bar.add_task(f"Sending {name}", total=content.size)
            for wait_s in (*WAITS_S, None):
                error = _try(client, job, name, content, bar, task)
                if error is None:
                    break
                if wait_s is None:
                    raise error
                why = "The connection broke" if isinstance(error, ServerUnreachable) else "The server is busy"
                say(f"{why}; trying again in {wait_s:.0f} s.")
                time.sleep(wait_s)


def _try(
    client: Client, job: int, name: str, content: Sendable, bar: Progress, task: TaskID
) -> VoxmoodError | None:
    """One try; why it failed, where another may help."""
    try:
        known = client.upload(job, name)
        start = 0 if known is None else int(known["bytes"])
        if known is not None and known["state"] != "receiving":
            bar.update(task, completed=content.size)
            return None
        if start:
            say(f"Going on with {name} at {start / 1e6:,.0f} of {content.size / 1e6:,.0f} MB.")
        bar.update(task, completed=start)
        client.put_upload(job, name, content, start, lambda sent: bar.advance(task, sent))
    except ServerUnreachable as error:
        return error
    except RequestRefused as error:
        if error.facts.get("code") != "too_many_uploads":
            raise
        return error
    return None
