"""The HTTP client that the commands and the page use."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from shared.core.api_keys import is_key
from shared.core.errors.access import MalformedKey
from shared.core.errors.infrastructure import RequestRefused, ServerUnreachable
from shared.core.errors.stack import NotRunning
from shared.core.settings import default_state_dir
from shared.packing import Sendable

# How long an export waits for its turn, and how long between two looks: what the server's Retry-After says.
BUSY_S, AGAIN_S = 600.0, 5.0
# outcome, emotion: any of these; confidence: LO:HI; path_prefix; segments: "true". The query parameters of
# the API.
Filters = Mapping[str, str | list[str] | None]


def server_url(server: str | None = None) -> str:
    """The API's address: the one given, else VOXMOOD_URL, else that of the stack on this state folder."""
    if named := server or os.environ.get("VOXMOOD_URL"):
        return named.rstrip("/")
    state_dir = default_state_dir()
    try:
        return str(json.loads((state_dir / "stack.json").read_text())["api_url"])
    except (OSError, ValueError, KeyError) as error:
        raise NotRunning(state_dir=state_dir) from error


class Client:
    """One server. Its refusals are raised as RequestRefused, with the server's own sentence.

    Raises:
        MalformedKey: VOXMOOD_API_KEY is none; it is not sent.
    """

    def __init__(self, server: str | None = None) -> None:
        self.url = server_url(server)
        # Reading is unlimited: an upload is answered when the last byte is stored, however long that takes.
        timeout = httpx.Timeout(10.0, read=None, write=60.0)
        # From the environment alone: an argument would stand in the list of processes.
        key = os.environ.get("VOXMOOD_API_KEY", "").strip()
        if key and not is_key(key):
            raise MalformedKey
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=self.url, timeout=timeout, trust_env=False, headers=headers)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def create_job(self, name: str | None, **options: object) -> dict[str, Any]:
        """A new open job; options: what else `POST /v1/jobs` takes, None what it decides itself."""
        body = {key: value for key, value in {"name": name, **options}.items() if value is not None}
        return self.request("POST", "/v1/jobs", json=body)

    def put_upload(
        self, job: int, name: str, content: Sendable, start: int, on_sent: Callable[[int], None]
    ) -> dict[str, Any]:
        """Send an upload from byte `start` on; `on_sent(bytes)` after each block."""

        def body() -> Iterator[bytes]:
            for block in content.read(start):
                yield block
                on_sent(len(block))

        headers = {"Content-Length": str(content.size - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{content.size - 1}/{content.size}"
        return self.request("PUT", _upload_path(job, name), content=body(), headers=headers)

    def upload(self, job: int, name: str) -> dict[str, Any] | None:
        """An upload as the server knows it; None when it does not."""
        answer = self._answer("GET", _upload_path(job, name))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return self._checked(answer)

    def add_source(self, job: int, url: str) -> dict[str, Any]:
        """Have the server take what lies under an s3:// prefix."""
        return self.request("POST", f"/v1/jobs/{job}/sources", json={"url": url})

    def start(self, job: int) -> dict[str, Any]:
        """Seal the uploads and start the work."""
        return self.request("POST", f"/v1/jobs/{job}/start")

    def job(self, job: int) -> dict[str, Any]:
        """One job's document."""
        return self.request("GET", f"/v1/jobs/{job}")

    def jobs(self, limit: int) -> list[dict[str, Any]]:
        """The newest jobs."""
        page = self.request("GET", "/v1/jobs", params={"limit": limit})
        return list(page["jobs"])

    def results(
        self, job: int, model: str | None, page: int = 1000, filters: Filters | None = None
    ) -> Iterator[dict[str, Any]]:
        """Result rows in archive order, fetched by pages as they are used."""
        params: dict[str, Any] = {"limit": page, **_wanted(model, filters)}
        while True:
            answer = self.request("GET", f"/v1/jobs/{job}/results", params=params)
            yield from answer["results"]
            if answer["next"] is None:
                return
            params["cursor"] = answer["next"]

    def labels(self, job: int, labeller: str | None = None) -> Iterator[dict[str, Any]]:
        """The labels of a job's clips, fetched by pages as they are used."""
        params: dict[str, Any] = {"job": job, "limit": 1000}
        if labeller is not None:
            params["labeller"] = labeller
        while True:
            answer = self.request("GET", "/v1/labels", params=params)
            yield from answer["labels"]
            if answer["next"] is None:
                return
            params["after"] = answer["next"]

    def export(
        self,
        job: int,
        format: str,
        model: str | None,
        filters: Filters | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> Iterator[bytes]:
        """The bytes of an export, as they come.

        Where the server has too many, it is asked again, for ten minutes. `on_note` hears that, and that the
        job has not ended yet, in a sentence each.
        """
        params = {"format": format, **_wanted(model, filters)}
        deadline = time.monotonic() + BUSY_S
        waited = False
        while True:
            try:
                yield from self._export(job, params, on_note)
            except RequestRefused as error:
                if error.facts.get("code") != "too_many_exports" or time.monotonic() > deadline:
                    raise
                if not waited:
                    on_note(f"{error} Waiting for a turn.")
                waited = True
                time.sleep(AGAIN_S)
            else:
                return

    def _export(self, job: int, params: dict[str, Any], on_note: Callable[[str], None]) -> Iterator[bytes]:
        try:
            with self._http.stream("GET", f"/v1/jobs/{job}/export", params=params) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                if answer.headers.get("Voxmood-Complete") == "false":
                    state = answer.headers.get("Voxmood-Job-State")
                    on_note(f"Job {job} is {state}: these are the rows so far, not all of them.")
                yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise ServerUnreachable(url=self.url) from error

    def audio(self, clip: int, most_bytes: int) -> bytes:
        """A recording as it was sent, or as much of its beginning."""
        headers = {"Range": f"bytes=0-{most_bytes - 1}"}
        answer = self._answer("GET", f"/v1/clips/{clip}/audio", headers=headers)
        if answer.is_error:
            raise _refusal(answer)
        return answer.content

    def request(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Any JSON request of the API; `request` is what httpx takes."""
        return self._checked(self._answer(method, path, **request))

    def _answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise ServerUnreachable(url=self.url) from error

    def _checked(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise _refusal(answer)
        body: dict[str, Any] = answer.json()
        return body


def _wanted(model: str | None, filters: Filters | None) -> dict[str, Any]:
    """Query parameters, without those that say nothing."""
    wanted = {"model": model, **(filters or {})}
    return {name: value for name, value in wanted.items() if value}


def _upload_path(job: int, name: str) -> str:
    return f"/v1/jobs/{job}/uploads/{quote(name)}"


def _refusal(answer: httpx.Response) -> RequestRefused:
    """With all members of the problem document as its facts; a proxy's answer has none but its status."""
    try:
        return RequestRefused(**answer.json())
    except (ValueError, KeyError, TypeError):
        status = answer.status_code
        return RequestRefused(
            detail=f"The server answered {status} {answer.reason_phrase}.", status=int(status)
        )
