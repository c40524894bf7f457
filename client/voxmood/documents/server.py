"""What the server says of itself: why it refuses a request, and whether it is ready."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """What every error says (RFC 9457); some have more members."""

    type: str = Field(
        description="where its code is explained, on this server", examples=["/problems#unknown_job"]
    )
    title: str
    status: int
    detail: str = Field(description="a sentence for a person")
    code: str = Field(description="the same for programs: unknown_job, upload_too_large, …")
    request_id: str | None = Field(default=None, description="that of X-Request-Id, and of the server's log")


# For the OpenAPI document: FastAPI would announce its own form of errors, which is never sent.


class Readiness(BaseModel):
    """What is there, and which queues are consumed; told to this machine. Others hear only `ready`."""

    ready: bool
    database: bool | None = Field(default=None, description="it answers, and its schema is the newest")
    queue: bool | None = None
    store: bool | None = None
    consuming: dict[str, bool] = Field(
        default_factory=dict, description="a worker took something from it in the last minute"
    )
