"""Submits of files, folders and s3:// prefixes, in which nothing is sent twice.

Neither over broken connections, nor after a program that was killed in the middle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

from voxmood import endpoints, packing
from voxmood.documents import JobDocument
from voxmood.environment import default_state_dir
from voxmood.errors import RequestRefused, ServerUnreachable, VoxmoodError
from voxmood.flows import PAUSES_S, Flow, Pause, ask, passes
from voxmood.packing import Content, Sendable, to_send, upload_names
from voxmood.states import JobState, UploadState

SOURCE = "s3://"
# The server was still busy with what a killed submit had sent, or another one sends the same.
OVERTAKEN = {"upload_replaced", "upload_offset"}


@dataclass(frozen=True, slots=True)
class Sent:
    """How far an upload is: `done` of `total` bytes."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told of a submit.

    Attributes:
        on_sent: called after each block.
        on_note: called with a sentence where something unusual happens.
    """

    on_sent: Callable[[Sent], object] = lambda _: None
    on_note: Callable[[str], object] = lambda _: None


class Notes:
    """The jobs that a submit began and did not start, by what they send; one small file each."""

    def __init__(self, url: str, digest: str) -> None:
        self._file = default_state_dir() / "submits" / f"{digest}.json"
        self._url = url

    def job(self) -> int | None:
        """The job that an earlier, killed submit of the same began on this server."""
        try:
            note = json.loads(self._file.read_text())
            return int(note["job"]) if note["url"] == self._url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, job: int) -> None:
        """Note that this job was begun."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"url": self._url, "job": job}))

    def remove(self) -> None:
        """Forget it: it was started, or given up."""
        self._file.unlink(missing_ok=True)


class Submission:
    """What is to be sent as one job. What cannot be read is said here, before a job is begun.

    Raises:
        FileMissing, NotSendable: of a path.
        ValueError: there is no path.
    """

    def __init__(
        self,
        url: str,
        paths: Sequence[str | PathLike[str]],
        name: str | None,
        options: Mapping[str, object],
        listener: Listener,
    ) -> None:
        every = [fspath(path) for path in paths]
        if not every:
            raise ValueError("name at least one file, folder or s3://bucket/prefix to submit")
        self.sources = [path for path in every if path.startswith(SOURCE)]
        contents = [to_send(Path(path)) for path in every if not path.startswith(SOURCE)]
        said = sorted(f"{key}={value}" for key, value in options.items())
        identities = (content.identity() for content in contents)
        digest = packing.digest([url, str(name), *said, *self.sources, *identities])
        self.contents: dict[str, Sendable] = dict(zip(upload_names(contents), contents, strict=True))
        for content in contents:
            _ = content.size
        self.name = name or (contents[0].name if contents else self.sources[0])
        self.options = options
        self._notes = Notes(url, digest)
        self._listener = listener

    def flow(self) -> Flow[JobDocument]:
        """Create a job, or go on with that of a killed submit; send what it lacks; start it."""
        begun = yield from self._unfinished_job()
        if begun is None:
            document = yield from ask(endpoints.create_job(self.name, self.options))
            self._notes.write(document.id)
        else:
            document = begun
            self._listener.on_note(f"Going on with job {begun.id}, which an earlier submit began.")
        job = document.id
        try:
            yield from self._add_sources(job, is_begun=begun is not None)
            for name, content in self.contents.items():
                yield from send(job, name, content, self._listener)
            document = yield from ask(endpoints.start_job(job))
        except VoxmoodError as error:
            if not may_help_later(error):  # refused again, or its files are no longer what they were
                self._notes.remove()
                # What is in the way of removing it is not said over the first error.
                with suppress(VoxmoodError):
                    yield from ask(endpoints.delete_job(job))
            raise
        self._notes.remove()
        return document

    def _unfinished_job(self) -> Flow[JobDocument | None]:
        """The open job of a killed submit, if the server still has it."""
        job = self._notes.job()
        if job is None:
            return None
        try:
            document = yield from ask(endpoints.show_job(job))
        except RequestRefused:
            return None
        given_up = any(upload.state == UploadState.FAILED for upload in document.uploads)
        return document if document.state == JobState.OPEN and not given_up else None

    def _add_sources(self, job: int, *, is_begun: bool) -> Flow[None]:
        """Have the server take what lies under s3:// prefixes; of a begun job it may have some already."""
        for source in self.sources:
            try:
                yield from ask(endpoints.add_source(job, source))
            except RequestRefused as error:
                if not (is_begun and error.reason == "upload_exists"):
                    raise


def may_help_later(error: VoxmoodError) -> bool:
    """Whether the same may succeed when it is repeated: then what was sent is kept for it."""
    if isinstance(error, RequestRefused):
        status = error.http_status
        return (status is not None and (status >= 500 or status == 429)) or _is_overtaken(error)
    return isinstance(error, ServerUnreachable)


def send(job: int, name: str, content: Content, listener: Listener) -> Flow[None]:
    """Send an upload that the server does not have whole; goes on where an earlier try broke off."""
    for pause_s in (*PAUSES_S, None):
        try:
            yield from _try(job, name, content, listener)
        except (ServerUnreachable, RequestRefused) as error:
            if pause_s is None or not (passes(error) or _is_overtaken(error)):
                raise
            listener.on_note(f"{_why(error)} Trying again in {pause_s:.0f} s.")
            yield Pause(pause_s)
        else:
            return


def _try(job: int, name: str, content: Content, listener: Listener) -> Flow[None]:
    total = content.size
    try:
        known = yield from ask(endpoints.show_upload(job, name))
    except RequestRefused as error:
        if error.reason != "unknown_upload":
            raise
        start = 0
    else:
        start = known.bytes
        if known.state != UploadState.RECEIVING:
            listener.on_sent(Sent(name, total, total))
            return
    if start:
        listener.on_note(f"Going on with {name} at {start / 1e6:,.0f} of {total / 1e6:,.0f} MB.")
    done = start
    listener.on_sent(Sent(name, done, total))

    def count(sent: int) -> None:
        nonlocal done
        done += sent
        listener.on_sent(Sent(name, done, total))

    yield from ask(endpoints.put_upload(job, name, content, start, count))


def _is_overtaken(error: VoxmoodError) -> bool:
    return isinstance(error, RequestRefused) and error.reason in OVERTAKEN


def _why(error: VoxmoodError) -> str:
    if isinstance(error, ServerUnreachable):
        return "The connection broke."
    if _is_overtaken(error):
        return "What an earlier submit had sent was still being stored."
    return str(error).removesuffix(" Try again in a moment.")
