"""Results: by pages as JSON, or all of them as a CSV or JSONL stream."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import RowMapping

from api.jobs import JobId, find
from api.parts import Parts, Wired
from shared.database import queries
from shared.database.queries import RESULT_COLUMNS, Cursor
from shared.emotion import registry
from shared.emotion.registry import Manifest
from shared.emotion.rejection import message
from shared.errors import WrongCursor

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])


class ResultPage(BaseModel):
    """Result rows in archive order: the columns of the contract, `p_<emotion>` each, and `message`."""

    results: list[dict[str, Any]]
    next: str | None = Field(description="give as `cursor` for the next page; null: no further row yet")


@router.get("/results")
def page_results(
    job_id: JobId,
    parts: Wired,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    model: str | None = None,
) -> ResultPage:
    """Rows of the clips that have an outcome so far, by pages."""
    after = None if cursor is None else _decode(cursor)
    manifest = _manifest(parts, job_id, model)
    with parts.database.read() as connection:
        rows = queries.results_page(connection, job_id, manifest.version, after, limit)
    more = _encode(queries.cursor_of(rows[-1])) if len(rows) == limit else None
    return ResultPage(results=[result(row, manifest) for row in rows], next=more)


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}, "application/jsonl": {}}}},
)
def export_results(
    job_id: JobId, parts: Wired, format: Literal["csv", "jsonl"] = "csv", model: str | None = None
) -> StreamingResponse:
    """All rows so far, streamed."""
    manifest = _manifest(parts, job_id, model)
    write, media_type = _FORMATS[format]
    pages = queries.all_results(parts.database, job_id, manifest.version)
    name = f"voxmood-job-{job_id}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(write(pages, manifest), media_type=media_type, headers=headers)


def _manifest(parts: Parts, job_id: int, model: str | None) -> Manifest:
    with parts.database.read() as connection:
        row = find(connection, job_id)
    return registry.read_manifest(parts.settings.model_folders, model or row["model_version"])


def result(row: RowMapping, manifest: Manifest) -> dict[str, Any]:
    """One row as the contract has it, with its sentence."""
    columns = {column: row[column] for column in RESULT_COLUMNS}
    probabilities = row["probabilities"] or {}
    columns |= {f"p_{label}": probabilities.get(label) for label in manifest.labels}
    columns["message"] = message(
        row["outcome"],
        emotion=row["emotion"],
        confidence=row["confidence"],
        threshold=row["threshold"],
        unknown_labels=manifest.unknown_labels,
        error=row["error"],
    )
    return columns


def _csv(pages: Iterator[Sequence[RowMapping]], manifest: Manifest) -> Iterator[str]:
    names = [*RESULT_COLUMNS, *(f"p_{label}" for label in manifest.labels)]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    writer.writeheader()
    for rows in pages:
        writer.writerows(result(row, manifest) for row in rows)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _jsonl(pages: Iterator[Sequence[RowMapping]], manifest: Manifest) -> Iterator[str]:
    for rows in pages:
        yield "".join(json.dumps(result(row, manifest), ensure_ascii=False) + "\n" for row in rows)


_FORMATS: dict[str, tuple[Callable[[Iterator[Sequence[RowMapping]], Manifest], Iterator[str]], str]] = {
    "csv": (_csv, "text/csv; charset=utf-8"),
    "jsonl": (_jsonl, "application/jsonl"),
}


def _encode(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(f"{cursor[0]}:{cursor[1]}".encode()).decode()


def _decode(cursor: str) -> Cursor:
    try:
        upload_id, member = base64.urlsafe_b64decode(cursor).decode("ascii").split(":")
        return int(upload_id), int(member)
    except (ValueError, binascii.Error) as error:
        raise WrongCursor(cursor=cursor) from error
