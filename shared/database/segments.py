"""Segment rows of a job, in archive order, then by channel and time, by pages of any filter.

A walk along the clips in archive order, from the cursor's on, with the segments of each (or of the clip whose
bytes it has) by their primary key. Filters are looked at on the way: a page of what is rare takes longer.
"""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
)

from shared.database.filters import Filters
from shared.database.keyset_scans import Cursor
from shared.database.paging import Listing, Rows
from shared.database.predictions import of_clip
from shared.database.results import RESULT_COLUMNS
from shared.database.tables import clip, prediction, segment, upload

# The contract's columns of segments, in its order; `p_<emotion>` for each label follow.
SEGMENT_COLUMNS = (*RESULT_COLUMNS, "channel", "start_s", "end_s")


def segments_page(
    connection: Connection,
    job_id: int,
    model_version: str,
    after: Cursor | None,
    limit: int,
    filters: Filters,
) -> Rows:
    """Up to `limit` segment rows behind the cursor (upload id, member, number).

    Outcome, emotion and confidence, also those of the filters, are the segment's own; threshold, duration_s
    and quality its clip's. A clip that failed has no segments.
    """
    original = func.coalesce(clip.c.duplicate_of, clip.c.id)
    of_original = segment.c.clip_id == original, segment.c.model_version == model_version
    statement = (
        select(
            clip.c.path,
            segment.c.outcome,
            segment.c.emotion,
            segment.c.confidence,
            case((segment.c.confidence.is_not(None), prediction.c.threshold)).label("threshold"),
            literal(model_version).label("model_version"),
            prediction.c.duration_s,
            null().label("error_code"),
            null().label("error"),
            upload.c.name.label("upload"),
            clip.c.id.label("clip_id"),
            prediction.c.quality,
            case((segment.c.channel == 0, ""), else_=cast(segment.c.channel, String)).label("channel"),
            segment.c.start_s,
            segment.c.end_s,
            cast(segment.c.probabilities, Text).label("probabilities"),
            clip.c.upload_id,
            clip.c.member,
            segment.c.number,
        )
        .select_from(clip)
        .join(upload, upload.c.id == clip.c.upload_id)
        .join(prediction, of_clip(model_version))
        .join(segment, and_(*of_original))
        .where(clip.c.job_id == job_id, *_behind(after), *filters.of_path)
        .where(*filters.of(segment), *filters.of_quality)
        .order_by(clip.c.upload_id, clip.c.member, segment.c.number)
        .limit(limit)
    )
    return connection.execute(statement).all()


def _behind(after: Cursor | None) -> list[ColumnElement[bool]]:
    """The clip of the cursor, behind its segment, and those behind this clip: a range of the index."""
    if after is None:
        return []
    place, (upload_id, member, number) = tuple_(clip.c.upload_id, clip.c.member), after
    here = tuple_(upload_id, member)
    return [place >= here, or_(place > here, segment.c.number > number)]


SEGMENTS = Listing(SEGMENT_COLUMNS, 3, segments_page, unfiltered=segments_page)
