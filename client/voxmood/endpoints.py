"""Every request of the API: its path, its parameters, the document that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict
from urllib.parse import quote

from pydantic import BaseModel

from voxmood.documents import (
    AgreementDocument,
    ChampionDocument,
    Deleted,
    DriftDocument,
    JobDocument,
    JobPage,
    Label,
    LabelDocument,
    LabelPage,
    ModelDocument,
    Models,
    Readiness,
    ResultPage,
    ResultRow,
    RetrainingDocument,
    ReviewQueue,
    SegmentRow,
    Stored,
    UploadDocument,
    UploadForm,
)
from voxmood.errors import UnknownModel
from voxmood.packing import Content
from voxmood.requests import Body, Listing, Request, Row

PAGE_ROWS = 1000  # the most that a page may have
ExportFormat = Literal["csv", "jsonl", "parquet"]


# --- jobs ----------------------------------------------------------------------------------------


class JobOptions(TypedDict, total=False):
    """What one may say of a job, explained in `voxmood.documents.JobRequest`; None: as the server likes."""

    model: str | None
    threshold: float | None
    windows: Literal["clip", "sliding"] | None
    win_s: float | None
    hop_s: float | None
    channels: Literal["mix", "separate"] | None
    encoding: str | None
    webhook: str | None


def create_job(
    name: str | None, options: Mapping[str, object], idempotency_key: str | None = None
) -> Request[JobDocument]:
    """`POST /v1/jobs`: a new open job, or that of an earlier request with the same idempotency key."""
    body = _said({"name": name, **options})
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    return Request("POST", "/v1/jobs", JobDocument, json=body, headers=headers)


def put_upload(
    job: int, name: str, content: Content, start: int, on_sent: Callable[[int], object]
) -> Request[UploadDocument]:
    """`PUT …/uploads/{name}`: the upload's bytes from `start` on."""
    body = Body(content, start, on_sent)
    return Request("PUT", _upload_path(job, name), UploadDocument, headers=body.headers, body=body)


def show_upload(job: int, name: str) -> Request[UploadDocument]:
    """`GET …/uploads/{name}`."""
    return Request("GET", _upload_path(job, name), UploadDocument)


def create_form(job: int, name: str, size: int | None) -> Request[UploadForm]:
    """`POST …/uploads`: a form for an upload that goes straight to the store."""
    body = _said({"name": name, "bytes": size})
    return Request("POST", f"/v1/jobs/{job}/uploads", UploadForm, json=body)


def add_source(job: int, url: str) -> Request[JobDocument]:
    """`POST …/sources`: take what lies under an s3:// prefix."""
    return Request("POST", f"/v1/jobs/{job}/sources", JobDocument, json={"url": url})


def start_job(job: int) -> Request[JobDocument]:
    """`POST …/start`: seal the uploads and start the work."""
    return Request("POST", f"/v1/jobs/{job}/start", JobDocument)


def show_job(job: int) -> Request[JobDocument]:
    """`GET /v1/jobs/{job_id}`."""
    return Request("GET", f"/v1/jobs/{job}", JobDocument)


def cancel_job(job: int) -> Request[JobDocument]:
    """`POST …/cancel`."""
    return Request("POST", f"/v1/jobs/{job}/cancel", JobDocument)


def retry_job(job: int) -> Request[JobDocument]:
    """`POST …/retry`."""
    return Request("POST", f"/v1/jobs/{job}/retry", JobDocument)


def reclassify_job(job: int, model: str) -> Request[JobDocument]:
    """`POST …/reclassify`: under another version too."""
    return Request("POST", f"/v1/jobs/{job}/reclassify", JobDocument, json={"model": model})


def delete_job(job: int) -> Request[JobDocument]:
    """`DELETE /v1/jobs/{job_id}`."""
    return Request("DELETE", f"/v1/jobs/{job}", JobDocument)


def _upload_path(job: int, name: str) -> str:
    return f"/v1/jobs/{job}/uploads/{quote(name)}"


# --- lists, page by page ---------------------------------------------------------------------------


def list_jobs(page_rows: int) -> Listing[JobPage, JobDocument]:
    """`GET /v1/jobs`: the newest first."""
    first = Request("GET", "/v1/jobs", JobPage, params={"limit": page_rows})
    return Listing(first, "before", lambda page: page.jobs, lambda page: page.next)


class LabelChoice(TypedDict, total=False):
    """Which labels are meant; what is given is joined by *and*. path: of the recording in its archive."""

    job: int | None
    clip_id: int | None
    path: str | None
    labeller: str | None


def list_labels(choice: LabelChoice) -> Listing[LabelPage, LabelDocument]:
    """`GET /v1/labels`."""
    first = Request("GET", "/v1/labels", LabelPage, params={**_said(choice), "limit": PAGE_ROWS})
    return Listing(first, "after", lambda page: page.labels, lambda page: page.next)


class RowChoice(TypedDict, total=False):
    """Which result rows are wanted; what is given is joined by *and*.

    model: a version other than the job's; outcome, emotion, quality: one of these or several; confidence:
    "0.2:0.8", or a pair of which either may be None; path_prefix: how the path begins.
    """

    model: str | None
    outcome: str | Sequence[str] | None
    emotion: str | Sequence[str] | None
    quality: str | Sequence[str] | None
    confidence: str | tuple[float | None, float | None] | None
    path_prefix: str | None


def list_results(job: int, choice: RowChoice, page_rows: int = PAGE_ROWS) -> Listing[ResultPage, ResultRow]:
    """`GET …/results`: the rows of clips."""
    return _rows(job, ResultRow, {**row_params(choice), "limit": page_rows})


def list_segments(job: int, choice: RowChoice, page_rows: int = PAGE_ROWS) -> Listing[ResultPage, SegmentRow]:
    """`GET …/results?segments=true`: the rows of windows."""
    return _rows(job, SegmentRow, {**row_params(choice, segments=True), "limit": page_rows})


def _rows(job: int, kind: type[Row], params: Mapping[str, Any]) -> Listing[ResultPage, Row]:
    first = Request("GET", f"/v1/jobs/{job}/results", ResultPage, params=params)
    return Listing(
        first,
        "cursor",
        lambda page: [kind.model_validate(row) for row in page.results],
        lambda page: page.next,
    )


def row_params(choice: RowChoice, *, segments: bool = False) -> dict[str, Any]:
    """The query parameters of a choice, without those that say nothing.

    >>> row_params({"outcome": "rejected", "confidence": (0.2, None), "model": None}, segments=True)
    {'outcome': 'rejected', 'confidence': '0.2:', 'segments': 'true'}
    """
    params: dict[str, Any] = {**choice}
    if isinstance(params.get("confidence"), tuple):
        params["confidence"] = ":".join("" if side is None else repr(side) for side in params["confidence"])
    if segments:
        params["segments"] = "true"
    return {name: value for name, value in params.items() if value}


class FrameChoice(RowChoice, total=False):
    """The same, and whether the rows are those of windows."""

    segments: bool


def export_params(format: ExportFormat, choice: RowChoice, *, segments: bool) -> dict[str, Any]:
    """The query parameters of an export."""
    return {"format": format, **row_params(choice, segments=segments)}


def export_path(job: int) -> str:
    """`GET …/export`: a stream, with `export_params`."""
    return f"/v1/jobs/{job}/export"


def audio(clip: int, most_bytes: int | None) -> Request[Any]:
    """`GET /v1/clips/{clip_id}/audio`: bytes, see `voxmood.requests.content`."""
    headers = {} if most_bytes is None else {"Range": f"bytes=0-{most_bytes - 1}"}
    return Request("GET", f"/v1/clips/{clip}/audio", BaseModel, headers=headers)


# --- labels, models, health ------------------------------------------------------------------------


def store_labels(labels: Sequence[Label]) -> Request[Stored]:
    """`POST /v1/labels`."""
    body = [label.model_dump(exclude_defaults=True) for label in labels]
    return Request("POST", "/v1/labels", Stored, json=body)


def agreement(choice: LabelChoice) -> Request[AgreementDocument]:
    """`GET /v1/labels/agreement`."""
    return Request("GET", "/v1/labels/agreement", AgreementDocument, params=_said(choice))


def delete_labels(choice: LabelChoice) -> Request[Deleted]:
    """`DELETE /v1/labels`."""
    return Request("DELETE", "/v1/labels", Deleted, params=_said(choice))


def review_queue(job: int, limit: int, model: str | None) -> Request[ReviewQueue]:
    """`GET /v1/jobs/{job_id}/review`."""
    return Request(
        "GET", f"/v1/jobs/{job}/review", ReviewQueue, params=_said({"limit": limit, "model": model})
    )


def list_models() -> Request[Models]:
    """`GET /v1/models`."""
    return Request("GET", "/v1/models", Models)


def named_model(models: Models, name: str) -> ModelDocument:
    """The version of this name or alias.

    Raises:
        UnknownModel: there is none.
    """
    for one in models.models:
        if name == one.version or name in one.aliases:
            return one
    raise UnknownModel(model=name, known=", ".join(one.version for one in models.models))


def model_drift(version: str, days: float) -> Request[DriftDocument]:
    """`GET /v1/models/{version}/drift`."""
    return Request("GET", f"/v1/models/{quote(version, safe='')}/drift", DriftDocument, params={"days": days})


def promote_model(version: str) -> Request[ChampionDocument]:
    """`POST /v1/models/{version}/promote`."""
    return Request("POST", f"/v1/models/{quote(version, safe='')}/promote", ChampionDocument)


def roll_back_champion() -> Request[ChampionDocument]:
    """`POST /v1/models/rollback`."""
    return Request("POST", "/v1/models/rollback", ChampionDocument)


def freeze_champion(*, frozen: bool) -> Request[ChampionDocument]:
    """`POST /v1/models/freeze`."""
    return Request("POST", "/v1/models/freeze", ChampionDocument, json={"frozen": frozen})


def retrain() -> Request[RetrainingDocument]:
    """`POST /v1/retrain`."""
    return Request("POST", "/v1/retrain", RetrainingDocument)


def ready() -> Request[Readiness]:
    """`GET /health/ready`; of a server that is not, too."""
    return Request("GET", "/health/ready", Readiness, accepted=(503,))


def _said(values: Mapping[str, object]) -> dict[str, Any]:
    """Without what is None."""
    return {name: value for name, value in values.items() if value is not None}
