"""Sending uploads so that nothing is sent twice: over broken connections, and after a killed `submit`."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, TaskID

from shared.cli.console import say, transfer_progress
from shared.core.errors.base import VoxmoodError
from shared.core.errors.infrastructure import RequestRefused, ServerUnreachable
from shared.core.settings import default_state_dir
from shared.core.states import JobState, UploadState

if TYPE_CHECKING:
    from shared.client import Client
    from shared.packing import Sendable

# Waits between tries after a broken connection: 1 + 2 + 4 + … s, about two minutes in all.
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)

# The server was still busy with what a killed submit had sent, or another one sends the same.
OVERTAKEN = {"upload_replaced", "upload_offset"}
# Of a server, or of what stands before it, that may answer again in a moment.
PASSING = {429, 502, 503, 504}


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
    given_up = any(upload["state"] == UploadState.FAILED for upload in document["uploads"])
    return document if document["state"] == JobState.OPEN and not given_up else None


def add_sources(client: Client, job: int, sources: list[str], *, is_begun: bool) -> None:
    """Have the server take what lies under s3:// prefixes; is_begun: an earlier submit may have had some."""
    for source in sources:
        try:
            client.add_source(job, source)
        except RequestRefused as error:
            if not (is_begun and error.facts.get("code") == "upload_exists"):
                raise


def abandon(client: Client, job: int) -> None:
    """Remove a job that will not be started; what is in the way of that is not said over the first error."""
    with suppress(VoxmoodError):
        client.request("DELETE", f"/v1/jobs/{job}")


def may_help_later(error: VoxmoodError) -> bool:
    """Whether the same may succeed when it is repeated: then what was sent is kept for it."""
    if isinstance(error, RequestRefused):
        status = error.facts.get("status")
        passes = isinstance(status, int) and (status >= 500 or status == 429)
        return passes or error.facts.get("code") in OVERTAKEN
    return isinstance(error, ServerUnreachable)


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
                say(f"{_why(error)} Trying again in {wait_s:.0f} s.")
                time.sleep(wait_s)


def _try(
    client: Client, job: int, name: str, content: Sendable, bar: Progress, task: TaskID
) -> VoxmoodError | None:
    """One try; why it failed, where another may help."""
    try:
        known = client.upload(job, name)
        start = 0 if known is None else int(known["bytes"])
        if known is not None and known["state"] != UploadState.RECEIVING:
            bar.update(task, completed=content.size)
            return None
        if start:
            say(f"Going on with {name} at {start / 1e6:,.0f} of {content.size / 1e6:,.0f} MB.")
        bar.update(task, completed=start)
        client.put_upload(job, name, content, start, lambda sent: bar.advance(task, sent))
    except ServerUnreachable as error:
        return error
    except RequestRefused as error:
        if error.facts.get("code") not in OVERTAKEN and error.facts.get("status") not in PASSING:
            raise
        return error
    return None


def _why(error: VoxmoodError) -> str:
    if isinstance(error, ServerUnreachable):
        return "The connection broke."
    if error.facts.get("code") in OVERTAKEN:
        return "What an earlier submit had sent was still being stored."
    return str(error).removesuffix(" Try again in a moment.")
