"""Results: by pages as JSON, or all of them as a CSV, JSONL or Parquet stream."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from api.access import OwnJob, Reader
from api.exports import FORMATS, result
from api.jobs import find
from api.paced import PacedResponse
from api.services import Wired
from shared.audio.quality_flags import QualityFlag
from shared.core.errors.requests import NoSegments, WrongCursor, WrongFilter
from shared.core.states import COMPLETE, Outcome
from shared.database.filters import Filters
from shared.database.keyset_scans import Cursor
from shared.database.paging import Listing, Pace
from shared.database.results import RESULTS
from shared.database.segments import SEGMENTS
from shared.models.serving import registry
from shared.models.serving.manifest import Manifest
from voxmood.documents import ResultPage

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])


JOB_STATE_HEADER, COMPLETE_HEADER = "Voxmood-Job-State", "Voxmood-Complete"


@dataclass(frozen=True, slots=True)
class RowSelection:
    """Which rows of which job are wanted, under which version; segments: those of windows, not of clips."""

    job_id: int
    manifest: Manifest
    filters: Filters
    segments: bool
    state: str  # of the job, before the first row was looked for

    @property
    def listing(self) -> Listing:
        """The rows that are meant."""
        return SEGMENTS if self.segments else RESULTS


def _selection(
    job_id: OwnJob,
    services: Wired,
    _: Reader,
    model: Annotated[str | None, Query(description="a model version; else the job's")] = None,
    outcome: Annotated[list[str], Query(description=f"any of these: {', '.join(Outcome)}")] = [],  # noqa: B006
    emotion: Annotated[list[str], Query(description="any of these labels of the version")] = [],  # noqa: B006
    confidence: Annotated[
        str, Query(description="LO:HI, both included, each from 0 to 1 or empty: `0.8:`, `:0.5`")
    ] = "",
    path_prefix: Annotated[
        str, Query(max_length=4000, pattern=r"^[^\x00]*$", description="how the path begins; case matters")
    ] = "",
    quality: Annotated[list[str], Query(description=f"any of these: {', '.join(QualityFlag)}")] = [],  # noqa: B006
    segments: Annotated[
        bool, Query(description="the rows of windows, of jobs with sliding windows or separate channels")
    ] = False,
) -> RowSelection:
    with services.database.read() as connection:
        row = find(connection, job_id)
    if segments and not row.windowing.keep_segments:
        raise NoSegments(job=job_id)
    manifest = registry.read_manifest(services.settings.model_folders, model or row.model_version)
    _check("outcome", outcome, list(Outcome))
    _check(f"emotion of {manifest.version}", emotion, manifest.labels)
    _check("quality", quality, tuple(QualityFlag))
    lowest, highest = _confidence_range(confidence)
    filters = Filters(
        frozenset(outcome), frozenset(emotion), lowest, highest, path_prefix, frozenset(quality)
    )
    return RowSelection(job_id, manifest, filters, segments, row.state)


Selected = Annotated[RowSelection, Depends(_selection)]


def _check(name: str, values: list[str], known: Sequence[str]) -> None:
    for value in values:
        if value not in known:
            raise WrongFilter(value=value, filter=name, allowed=f"Available: {', '.join(known)}.")


def _confidence_range(text: str) -> tuple[float | None, float | None]:
    """`LO:HI` as two numbers; None for an empty side."""
    if not text:
        return None, None
    try:
        low, high = (float(side) if side else None for side in text.split(":"))
    except ValueError:
        low, high = 1.0, 0.0
    # Not-a-number fails every comparison.
    if not 0 <= (0 if low is None else low) <= (1 if high is None else high) <= 1:
        allowed = "Give LO:HI from 0 to 1; either side may be empty, as in 0.8: or :0.5."
        raise WrongFilter(value=text, filter="range of confidence", allowed=allowed)
    return low, high


@router.get("/results")
def page_results(
    selection: Selected,
    services: Wired,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ResultPage:
    """Rows of the clips that have an outcome so far, by pages; filters are joined by *and*."""
    listing, manifest = selection.listing, selection.manifest
    after = None if cursor is None else _decode(cursor, listing.cursor_numbers)
    with services.database.read() as connection:
        rows = listing.page(connection, selection.job_id, manifest.version, after, limit, selection.filters)
    more = _encode(listing.cursor_of(rows[-1])) if len(rows) == limit else None
    return ResultPage(results=[result(row, manifest, listing.columns) for row in rows], next=more)


async def _export_slot(services: Wired, caller: Reader) -> AsyncIterator[None]:
    """Held until the last byte is taken."""
    with services.exports.slot(caller.key_id):
        yield


@router.get(
    "/export",
    response_class=Response,
    responses={
        200: {
            "content": {media_type: {} for _, media_type in FORMATS.values()},
            "headers": {
                JOB_STATE_HEADER: {"description": "the job's state", "schema": {"type": "string"}},
                COMPLETE_HEADER: {"description": "true or false", "schema": {"type": "string"}},
            },
        }
    },
    dependencies=[Depends(_export_slot)],
)
async def export_results(
    selection: Selected, services: Wired, format: Literal["csv", "jsonl", "parquet"] = "csv"
) -> PacedResponse:
    """All rows so far, streamed; filters are joined by *and*.

    `Voxmood-Complete` is `false` where the job has not ended by itself: then clips may be missing.
    """
    write, media_type = FORMATS[format]
    manifest = selection.manifest
    pace = Pace(services.pages_ahead)
    pages = selection.listing.pages(
        services.database, selection.job_id, manifest.version, selection.filters, pace=pace
    )
    name = f"voxmood-job-{selection.job_id}{'-segments' if selection.segments else ''}.{format}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        JOB_STATE_HEADER: selection.state,
        COMPLETE_HEADER: "true" if selection.state in COMPLETE else "false",
    }
    blocks = write(pages, manifest, selection.listing.columns)
    return PacedResponse(blocks, services.exporting, pace, headers=headers, media_type=media_type)


def _encode(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(":".join(map(str, cursor)).encode()).decode()


def _decode(cursor: str, numbers: int) -> Cursor:
    try:
        after = tuple(map(int, base64.urlsafe_b64decode(cursor).decode("ascii").split(":")))
    except (ValueError, binascii.Error) as error:
        raise WrongCursor(cursor=cursor) from error
    if len(after) != numbers or not all(0 <= number < 2**31 for number in after):
        raise WrongCursor(cursor=cursor)
    return after
