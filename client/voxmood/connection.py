"""What both clients know of their server: its address, the headers of requests, how long they wait."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from voxmood.environment import api_key, server_url, version

# Reading is unlimited: an upload is answered when the last byte is stored, however long that takes.
TIMEOUT = httpx.Timeout(10.0, read=None, write=60.0)


@dataclass(frozen=True, slots=True)
class Connection:
    """A server, as it is to be asked."""

    url: str
    headers: dict[str, str]

    @classmethod
    def to(cls, server: str | None, key: str | None) -> Connection:
        """The server and the key that are given, else those of the environment.

        Raises:
            MalformedKey: the key is none; it is not sent.
            NotRunning: no server is named, and no stack runs on this machine's state folder.
        """
        url = server_url(server)
        headers = {"User-Agent": f"voxmood/{version()}"}
        if found := api_key(key):
            headers["Authorization"] = f"Bearer {found}"
        return cls(url, headers)


def export_note(job: int, response: httpx.Response) -> str | None:
    """A sentence where an export is not of all rows; None: it is."""
    if response.headers.get("Voxmood-Complete") != "false":
        return None
    state = response.headers.get("Voxmood-Job-State")
    return f"Job {job} is {state}: these are the rows so far, not all of them."
