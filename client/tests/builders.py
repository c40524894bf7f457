"""Documents for tests, as a server sends them; what a test does not say is as in the smallest."""

from __future__ import annotations

from typing import Any

from voxmood.documents import JobDocument, ResultRow

COUNTS = ("clips", "done", "classified", "rejected", "no_voice", "failed", "duplicates")


def row(**values: Any) -> ResultRow:
    """A result row."""
    fields = dict.fromkeys(ResultRow.model_fields)
    usual = {
        "path": "a.wav",
        "outcome": "classified",
        "threshold": 0.8,
        "model_version": "v8",
        "upload": "a.zip",
        "clip_id": 1,
        "message": "",
    }
    return ResultRow.model_validate(fields | usual | values)


def job(*, counts: dict[str, int] | None = None, **values: Any) -> JobDocument:
    """A job's document."""
    fields: dict[str, Any] = dict.fromkeys(JobDocument.model_fields)
    usual = {
        "id": 1,
        "state": "running",
        "model_version": "v8",
        "windows": "clip",
        "channels": "mix",
        "created_at": "2026-11-28T09:00:00Z",
        "uploads": [],
        "progress": {"done": 0, "expected": None, "fraction": 0, "clips_per_s": 10.0, "seconds_left": None},
    }
    numbers = dict.fromkeys(COUNTS, 0) | (counts or {})
    return JobDocument.model_validate(fields | usual | values | {"counts": numbers})
