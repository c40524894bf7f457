"""States of rows and outcomes of clips: those that clients see too, and those of work inside the server."""

from __future__ import annotations

from enum import StrEnum

from voxmood.states import (
    COMPLETE,
    ENDED,
    EXPECTED_UPLOADS,
    UNFINISHED,
    JobState,
    Outcome,
    ReviewReason,
    UploadState,
    WebhookState,
)

__all__ = [
    "COMPLETE",
    "ENDED",
    "EXPECTED_UPLOADS",
    "LEFT",
    "UNFINISHED",
    "JobState",
    "Outcome",
    "ReviewReason",
    "UploadState",
    "WebhookState",
    "WorkState",
]


class WorkState(StrEnum):
    """Of a row that is leased: a unit, and an upload once it has arrived."""

    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"


# Work that is left.
LEFT = WorkState.PENDING, WorkState.LEASED
