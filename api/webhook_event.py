"""What this server tells others: the webhook of a job's end, as the OpenAPI document declares it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Response

from voxmood.documents import JobDocument

router = APIRouter()
_EXAMPLE: dict[str, Any] = {
    "id": 12,
    "name": "tapes of 1987",
    "state": "done",
    "model_version": "v7",
    "threshold": None,
    "windows": "clip",
    "win_s": None,
    "hop_s": None,
    "channels": "mix",
    "created_at": "2026-11-28T09:00:00Z",
    "started_at": "2026-11-28T09:01:00Z",
    "ended_at": "2026-11-28T09:03:00Z",
    "uploads": [
        {
            "name": "tapes.zip",
            "state": "done",
            "bytes": 208_000_000,
            "clips": 2036,
            "failed": 1,
            "duplicates": 0,
            "error_code": None,
            "error": None,
        }
    ],
    "counts": {
        "clips": 2036,
        "done": 2036,
        "classified": 1500,
        "rejected": 535,
        "no_voice": 0,
        "failed": 1,
        "duplicates": 0,
    },
    "progress": {"done": 2036, "expected": 2036, "fraction": 1.0, "clips_per_s": 17.0, "seconds_left": 0.0},
    "webhook": {"url": "https://example.org/ended", "state": "waiting", "attempts": 1, "error": None},
}


@router.post("job-ended", response_class=Response, responses={200: {"description": "taken; any 2xx will do"}})
def job_ended(
    document: Annotated[JobDocument, Body(examples=[_EXAMPLE])],
    webhook_id: Annotated[str, Header(description="the event's: the same when it is told again")],
    webhook_timestamp: Annotated[int, Header(description="seconds since 1970")],
    webhook_signature: Annotated[
        str | None, Header(description="v1, and the HMAC-SHA256 of id.timestamp.body (standardwebhooks.com)")
    ] = None,
) -> None:
    """A job has ended: POSTed to the address that it named, until that answers 2xx, for a day at most.

    410 ends it at once.
    """
