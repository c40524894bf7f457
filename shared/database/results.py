"""Result rows of a job, in archive order: by pages of any filter, or all of them.

A page is found in two steps: first its keys (upload, member), by keyset scans along indexes that begin after
the cursor and end after `limit` keys; then the rows of these keys. Where a filter matches few predictions or
few paths, all of them are read instead. So a page costs about the same wherever the cursor is, and however
rare the outcome, emotion, confidence or path: 5 to 60 ms for 1,000 of 1,000,000 clips, with other work on
both cores. The slowest case is a filter that matches nothing near the cursor under a prefix of many paths,
which are then all read: 0.06 s for 250,000 of them, 0.15 s with other work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from shared.core.states import Outcome
from shared.database.filters import Filters
from shared.database.keyset_scans import PLACES, Conditions, Cursor, Keys, KeysetScan, place
from shared.database.paging import Listing, Rows
from shared.database.predictions import of_clip
from shared.database.tables import clip, prediction, upload

# The contract's columns, in its order; `p_<emotion>` for each label follow.
RESULT_COLUMNS = (
    "path", "outcome", "emotion", "confidence", "threshold", "model_version", "duration_s",
    "error_code", "error", "upload", "clip_id", "quality",
)  # fmt: skip
# Up to so many clips under a prefix are all looked at (20 ms). Among more, rows are looked for in the next
# so many clips (30 ms), and only then between the first and the last clip under the prefix.
FEW_PATHS = 10_000
WINDOW_CLIPS = 20_000
# The same of the answers of a kind, or in a range of confidence.
FEW_ANSWERS = 5_000
# PostgreSQL believes a look through the whole table, by several processes, to be cheaper than these walks.
_ALONG_INDEXES = select(
    func.set_config("enable_seqscan", "off", True),
    func.set_config("max_parallel_workers_per_gather", "0", True),
    func.set_config("jit", "off", True),
)


def results_page(
    connection: Connection,
    job_id: int,
    model_version: str,
    after: Cursor | None,
    limit: int,
    filters: Filters,
) -> Rows:
    """Up to `limit` result rows behind the cursor (upload id, member), in archive order."""
    _keep_to_indexes(connection)
    walk = KeysetScan(job_id, model_version, filters, after, None, limit)
    for narrow in walk.narrow():
        if _has_few(connection, narrow, FEW_ANSWERS):
            return _page(connection, walk, walk.few_answers(narrow))
    if not walk.filters.path_prefix:
        return _page(connection, walk, walk.all())
    if _has_few(connection, walk.under_prefix(), FEW_PATHS):
        return _page(connection, walk, [walk.few_paths()])
    window = replace(walk, last=_window_end(connection, walk))
    rows = _page(connection, window, window.all())
    if len(rows) == limit or window.last is None:
        return rows
    bounded = _bounded(connection, walk)
    return [] if bounded is None else _page(connection, bounded, bounded.all())


def _keep_to_indexes(connection: Connection) -> None:
    """Until the transaction ends. SQLite has no statistics to be led astray by."""
    if connection.dialect.name == "postgresql":
        connection.execute(_ALONG_INDEXES)


def _page(connection: Connection, walk: KeysetScan, walks: Sequence[Keys]) -> Rows:
    # SQLite takes no LIMIT in a part of a union, but in a subquery.
    keys = union_all(*(select(one.subquery()) for one in walks)).subquery()
    page = select(keys).order_by(keys.c.upload_id, keys.c.member).limit(walk.limit).subquery("page")
    of_page = and_(clip.c.upload_id == page.c.upload_id, clip.c.member == page.c.member)
    statement = _rows(page.join(clip, of_page), walk.model_version)
    return connection.execute(statement).all()


def _has_few(connection: Connection, conditions: Conditions, few: int) -> bool:
    found = select(literal(1).label("one")).where(*conditions).limit(few + 1).subquery()
    count: int = connection.execute(select(func.count()).select_from(found)).scalar_one()
    return count <= few


def _window_end(connection: Connection, walk: KeysetScan) -> Cursor | None:
    """The key that many clips on; None where the job ends before."""
    keys = replace(walk, limit=1).keys(clip.c.upload_id, clip.c.member)
    statement = keys.where(clip.c.job_id == walk.job_id).offset(WINDOW_CLIPS)
    row = connection.execute(statement).one_or_none()
    return None if row is None else (row.upload_id, row.member)


def _bounded(connection: Connection, walk: KeysetScan) -> KeysetScan | None:
    """From the first to the last clip behind the cursor that begins with the prefix; None: there is none."""
    bounds = select(func.min(place), func.max(place)).where(*walk.under_prefix(), *walk.behind_cursor())
    first, last = connection.execute(bounds).one()
    if first is None:
        return None
    return replace(walk, after=divmod(first - 1, PLACES), last=divmod(last, PLACES))


def _rows(clips: FromClause, model_version: str) -> Select[Any]:
    """The contract's columns for these clips, their probabilities, and the keys."""
    ended_by_unpack = clip.c.error_code.is_not(None)
    error = func.replace(prediction.c.error, "{path}", clip.c.path)
    return (
        select(
            clip.c.path,
            case((ended_by_unpack, Outcome.FAILED), else_=prediction.c.outcome).label("outcome"),
            prediction.c.emotion,
            prediction.c.confidence,
            prediction.c.threshold,
            literal(model_version).label("model_version"),
            prediction.c.duration_s,
            func.coalesce(clip.c.error_code, prediction.c.error_code).label("error_code"),
            func.coalesce(clip.c.error, error).label("error"),
            upload.c.name.label("upload"),
            clip.c.id.label("clip_id"),
            prediction.c.quality,
            cast(prediction.c.probabilities, Text).label("probabilities"),
            clip.c.upload_id,
            clip.c.member,
        )
        .select_from(clips)
        .join(upload, upload.c.id == clip.c.upload_id)
        .outerjoin(prediction, of_clip(model_version))
        .order_by(clip.c.upload_id, clip.c.member)
    )


def _next_rows(
    connection: Connection,
    job_id: int,
    model_version: str,
    after: Cursor | None,
    limit: int,
    _: Filters,
) -> Rows:
    """As `results_page` without filters, but clip by clip: quicker where hardly a clip is left out."""
    _keep_to_indexes(connection)
    ended: ColumnElement[bool] = or_(prediction.c.clip_id.is_not(None), clip.c.error_code.is_not(None))
    statement = _rows(clip, model_version).where(clip.c.job_id == job_id, ended).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(clip.c.upload_id, clip.c.member) > tuple_(*after))
    # As the driver has them: nothing in them waits to be converted, and SQLAlchemy's rows take 0.6 µs each.
    rows: Rows = connection.execute(statement).cursor.fetchall()
    return rows


RESULTS = Listing(RESULT_COLUMNS, 2, results_page, unfiltered=_next_rows)
