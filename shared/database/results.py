"""Result rows of a job, in archive order, by pages of any filter.

A page is found in two steps: first its keys (upload, member), each from a walk along an index that
begins behind the cursor and ends after `limit` keys; then the rows of these keys. That is the same
work wherever the cursor stands, however rare the outcome, emotion or path is: 10 to 70 ms for 1,000 of
1,000,000 clips. A range of confidence that holds next to nothing takes the walk through all keys of the
job, in the index alone: 0.1 to 0.15 s; the same under a prefix that most paths share, up to 1 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)

from shared.database.filters import Filters, begins
from shared.database.sessions import Database
from shared.database.tables import OUTCOMES, clip, prediction, upload

# The contract's columns, in its order; `p_<emotion>` for each label follow.
RESULT_COLUMNS = (
    "path", "outcome", "emotion", "confidence", "threshold", "model_version", "duration_s",
    "error_code", "error", "upload", "clip_id",
)  # fmt: skip
# (upload id, member) of a clip, (upload id, member, number) of a segment.
Cursor = tuple[int, ...]
Pages = Iterator[Sequence[RowMapping]]
# Up to so many clips under a prefix are all looked at (20 ms). Among more, rows are looked for in the next
# so many clips (30 ms), and only then between the first and the last clip under the prefix.
FEW_PATHS = 10_000
WINDOW_CLIPS = 20_000
# What the index on paths has of them. Written out, since SQLite compares the text of the expression.
PATH_START = 250
_path_start: ColumnElement[str] = func.substr(
    clip.c.path, literal_column("1"), literal_column(str(PATH_START))
)
# (upload_id, member) as one number; a member is a 32-bit integer.
_PLACES = 2**31
_place: ColumnElement[int] = clip.c.upload_id * _PLACES + clip.c.member


@dataclass(frozen=True, slots=True)
class _Walk:
    """Where keys are looked for: behind `after`, up to `last`, at most `limit`."""

    job_id: int
    model_version: str
    filters: Filters
    after: Cursor | None
    last: Cursor | None
    limit: int

    def all(self) -> list[Select[int, int]]:
        """The walks that together find every row, whatever its kind."""
        failures = [self.unpack_failures()] if self.filters.want_unpack_failures else []
        return [*self.answers(), self.copies(), *failures]

    def answers(self) -> list[Select[int, int]]:
        """Predictions of originals: one walk for each emotion, else for each outcome."""
        filters = self.filters
        if filters.emotions:
            if filters.outcomes and "classified" not in filters.outcomes:
                return []
            kinds = [prediction.c.emotion == emotion for emotion in sorted(filters.emotions)]
        else:
            kinds = [prediction.c.outcome == outcome for outcome in sorted(filters.outcomes or OUTCOMES)]
        version = prediction.c.job_id == self.job_id, prediction.c.model_version == self.model_version
        walks = []
        for kind in kinds:
            walk = self.keys(prediction.c.upload_id, prediction.c.member)
            if filters.of_path:
                place = and_(clip.c.upload_id == prediction.c.upload_id, clip.c.member == prediction.c.member)
                # The bounds again: PostgreSQL may merge two walks, and knows them for one side only.
                walk = walk.join(clip, place).where(*self.within(clip.c.upload_id, clip.c.member))
            walks.append(walk.where(*version, kind, *filters.of_confidence, *filters.of_path))
        return walks

    def copies(self) -> Select[int, int]:
        """Clips with the bytes of an earlier one: its prediction is theirs."""
        of_original = and_(
            prediction.c.clip_id == clip.c.duplicate_of, prediction.c.model_version == self.model_version
        )
        walk = self.keys(clip.c.upload_id, clip.c.member).join(prediction, of_original)
        return walk.where(
            clip.c.job_id == self.job_id,
            clip.c.duplicate_of.is_not(None),
            *self.filters.of_predictions,
            *self.filters.of_path,
        )

    def unpack_failures(self) -> Select[int, int]:
        """Clips that never reached a model."""
        walk = self.keys(clip.c.upload_id, clip.c.member)
        return walk.where(clip.c.job_id == self.job_id, clip.c.error_code.is_not(None), *self.filters.of_path)

    def few_paths(self) -> Select[int, int]:
        """Every clip under the prefix, with its prediction looked up."""
        of_version = and_(
            prediction.c.clip_id == func.coalesce(clip.c.duplicate_of, clip.c.id),
            prediction.c.model_version == self.model_version,
        )
        ended = and_(prediction.c.clip_id.is_not(None), *self.filters.of_predictions)
        if self.filters.want_unpack_failures:
            ended = or_(ended, clip.c.error_code.is_not(None))
        keys = select(clip.c.upload_id, clip.c.member).outerjoin(prediction, of_version)
        # OFFSET 0 keeps PostgreSQL from looking through all clips in the order of the page.
        paths = *self.under_prefix(), *self.filters.of_path
        return keys.where(*paths, *self.behind_cursor(), ended).offset(0)

    def under_prefix(self) -> list[ColumnElement[bool]]:
        """A range of the index on paths."""
        start = begins(_path_start, self.filters.path_prefix[:PATH_START])
        return [clip.c.job_id == self.job_id, *start]

    def behind_cursor(self) -> list[ColumnElement[bool]]:
        """As one number: a pair draws the planners from the index on paths to another."""
        return [] if self.after is None else [_place > self.after[0] * _PLACES + self.after[1]]

    def keys(self, upload_id: ColumnElement[int], member: ColumnElement[int]) -> Select[int, int]:
        """The next keys of a table or index that has these columns."""
        statement = select(upload_id.label("upload_id"), member.label("member"))
        statement = statement.where(*self.within(upload_id, member))
        return statement.order_by(upload_id, member).limit(self.limit)

    def within(self, upload_id: ColumnElement[int], member: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Behind the cursor and not behind the last key."""
        conditions: list[ColumnElement[bool]] = []
        if self.after is not None:
            conditions.append(tuple_(upload_id, member) > tuple_(*self.after))
        if self.last is not None:
            conditions.append(tuple_(upload_id, member) <= tuple_(*self.last))
        return conditions


def results_page(
    connection: Connection,
    job_id: int,
    model_version: str,
    after: Cursor | None,
    limit: int,
    filters: Filters | None = None,
) -> Sequence[RowMapping]:
    """Up to `limit` result rows behind the cursor (upload id, member), in archive order."""
    walk = _Walk(job_id, model_version, filters or Filters(), after, None, limit)
    if not walk.filters.path_prefix:
        return _page(connection, walk, walk.all())
    if _has_few_paths(connection, walk):
        return _page(connection, walk, [walk.few_paths()])
    window = replace(walk, last=_window_end(connection, walk))
    rows = _page(connection, window, window.all())
    if len(rows) == limit or window.last is None:
        return rows
    bounded = _bounded(connection, walk)
    return [] if bounded is None else _page(connection, bounded, bounded.all())


def _page(connection: Connection, walk: _Walk, walks: Sequence[Select[int, int]]) -> Sequence[RowMapping]:
    # SQLite takes no LIMIT in a part of a union, but in a subquery.
    keys = union_all(*(select(one.subquery()) for one in walks)).subquery()
    page = select(keys).order_by(keys.c.upload_id, keys.c.member).limit(walk.limit).subquery("page")
    return connection.execute(_rows(page, walk.model_version)).mappings().all()


def _has_few_paths(connection: Connection, walk: _Walk) -> bool:
    under = select(literal(1).label("one")).where(*walk.under_prefix()).limit(FEW_PATHS + 1).subquery()
    count: int = connection.execute(select(func.count()).select_from(under)).scalar_one()
    return count <= FEW_PATHS


def _window_end(connection: Connection, walk: _Walk) -> Cursor | None:
    """The key that many clips on; None where the job ends before."""
    keys = replace(walk, limit=1).keys(clip.c.upload_id, clip.c.member)
    statement = keys.where(clip.c.job_id == walk.job_id).offset(WINDOW_CLIPS)
    row = connection.execute(statement).one_or_none()
    return None if row is None else (row.upload_id, row.member)


def _bounded(connection: Connection, walk: _Walk) -> _Walk | None:
    """From the first to the last clip behind the cursor that begins with the prefix; None: there is none."""
    bounds = select(func.min(_place), func.max(_place)).where(*walk.under_prefix(), *walk.behind_cursor())
    first, last = connection.execute(bounds).one()
    if first is None:
        return None
    return replace(walk, after=divmod(first - 1, _PLACES), last=divmod(last, _PLACES))


def _rows(page: Any, model_version: str) -> Select[Any]:
    """The contract's columns for these keys, their probabilities, and the keys."""
    ended_by_unpack = clip.c.error_code.is_not(None)
    error = func.replace(prediction.c.error, "{path}", clip.c.path)
    return (
        select(
            clip.c.path,
            case((ended_by_unpack, "failed"), else_=prediction.c.outcome).label("outcome"),
            prediction.c.emotion,
            prediction.c.confidence,
            prediction.c.threshold,
            literal(model_version).label("model_version"),
            prediction.c.duration_s,
            func.coalesce(clip.c.error_code, prediction.c.error_code).label("error_code"),
            func.coalesce(clip.c.error, error).label("error"),
            upload.c.name.label("upload"),
            clip.c.id.label("clip_id"),
            prediction.c.probabilities,
            clip.c.upload_id,
            clip.c.member,
        )
        .select_from(page)
        .join(clip, and_(clip.c.upload_id == page.c.upload_id, clip.c.member == page.c.member))
        .join(upload, upload.c.id == clip.c.upload_id)
        .outerjoin(
            prediction,
            and_(
                prediction.c.clip_id == func.coalesce(clip.c.duplicate_of, clip.c.id),
                prediction.c.model_version == model_version,
            ),
        )
        .order_by(clip.c.upload_id, clip.c.member)
    )


def all_results(
    database: Database, job_id: int, model_version: str, filters: Filters | None = None, page: int = 1000
) -> Pages:
    """All result rows, a page at a time."""

    def rows_behind(connection: Connection, after: Cursor | None) -> Sequence[RowMapping]:
        return results_page(connection, job_id, model_version, after, page, filters)

    return every_page(database, rows_behind, cursor_of, page)


def every_page(
    database: Database,
    rows_behind: Callable[[Connection, Cursor | None], Sequence[RowMapping]],
    cursor_of: Callable[[RowMapping], Cursor],
    limit: int,
) -> Pages:
    """Pages of `limit` rows, each in a transaction of its own: memory stays constant."""
    after: Cursor | None = None
    while True:
        with database.read() as connection:
            rows = rows_behind(connection, after)
        if not rows:
            return
        yield rows
        if len(rows) < limit:
            return
        after = cursor_of(rows[-1])


def cursor_of(row: RowMapping) -> Cursor:
    """The cursor that continues behind a row."""
    return row["upload_id"], row["member"]
