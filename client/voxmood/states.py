"""States and outcomes as the API tells them, each set of words an enum of its own.

Every member is a plain string too:

>>> Outcome.NO_VOICE == "no_voice", f"{JobState.DONE}"
(True, 'done')
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Of a job: uploads come in, work is done, it has ended, or it is being removed."""

    OPEN = "open"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # it ended without any clip
    CANCELLED = "cancelled"
    DELETING = "deleting"


class UploadState(StrEnum):
    """Of an upload: on its way in, then as `WorkState` has it, or refused."""

    RECEIVING = "receiving"
    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"


class Outcome(StrEnum):
    """What became of a clip under a model version, or of a window of it."""

    CLASSIFIED = "classified"
    REJECTED = "rejected"
    NO_VOICE = "no_voice"
    FAILED = "failed"


class WebhookState(StrEnum):
    """Of a job's end that somebody wants to be told."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class ReviewReason(StrEnum):
    """Why a clip is worth a label."""

    RANDOM = "random"  # drawn from all clips with an answer: these estimate the job's accuracy
    NEAR_THRESHOLD = "near_threshold"
    WINDOWS_DISAGREE = "windows_disagree"
    VERSIONS_DISAGREE = "versions_disagree"


class DriftState(StrEnum):
    """How far a version's confidences have moved from those that its threshold was set on."""

    STABLE = "stable"
    SHIFTED = "shifted"
    CHANGED = "changed"
    UNKNOWN = "unknown"  # too few clips, or a version that keeps nothing to compare with


class QualityFlag(StrEnum):
    """What is said of a recording's quality. Each but the first is something that the recording lacks."""

    good = "good"
    narrow_band = "narrow_band"
    noisy = "noisy"
    little_voice = "little_voice"


# Nothing more comes of it, unless somebody asks for more.
ENDED = JobState.DONE, JobState.FAILED, JobState.CANCELLED
# All that was asked for has its row.
COMPLETE = JobState.DONE, JobState.FAILED
UNFINISHED = JobState.OPEN, JobState.RUNNING
EXPECTED_UPLOADS = UploadState.RECEIVING, UploadState.PENDING, UploadState.LEASED
