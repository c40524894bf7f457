"""Where the keys (upload, member) of a page are looked for: along indexes, or among few answers or paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)

from shared.core.states import Outcome
from shared.database.filters import Filters, begins
from shared.database.predictions import of_clip, of_original
from shared.database.tables import clip, prediction

# (upload id, member) of a clip, (upload id, member, number) of a segment.
Cursor = tuple[int, ...]
Keys = Select[int, int]
Conditions = Sequence[ColumnElement[bool]]
# What the index on paths has of them. Written out, since SQLite compares the text of the expression.
PATH_START = 250
_path_start: ColumnElement[str] = func.substr(
    clip.c.path, literal_column("1"), literal_column(str(PATH_START))
)
# (upload_id, member) as one number; a member is a 32-bit integer.
PLACES = 2**31
place: ColumnElement[int] = clip.c.upload_id * PLACES + clip.c.member


@dataclass(frozen=True, slots=True)
class KeysetScan:
    """Where keys are looked for: behind `after`, up to `last`, at most `limit`."""

    job_id: int
    model_version: str
    filters: Filters
    after: Cursor | None
    last: Cursor | None
    limit: int

    def all(self) -> list[Keys]:
        """The walks that together find every row, whatever its kind."""
        failures = [self.unpack_failures()] if self.filters.want_unpack_failures else []
        return [*self.answers(), self.copies(), *failures]

    def answers(self) -> list[Keys]:
        """Predictions of originals: one walk for each emotion, else for each outcome."""
        filters = self.filters
        if filters.emotions:
            if filters.outcomes and Outcome.CLASSIFIED not in filters.outcomes:
                return []
            kinds = [prediction.c.emotion == emotion for emotion in sorted(filters.emotions)]
        else:
            kinds = [prediction.c.outcome == outcome for outcome in sorted(filters.outcomes or Outcome)]
        version = prediction.c.job_id == self.job_id, prediction.c.model_version == self.model_version
        walk = self.keys(prediction.c.upload_id, prediction.c.member).where(
            *version, *filters.of_confidence, *filters.of_quality
        )
        if filters.of_path:
            # No join: PostgreSQL, which takes the walk for short, looked through all clips for each key.
            of_clip = clip.c.upload_id == prediction.c.upload_id, clip.c.member == prediction.c.member
            walk = walk.where(select(and_(*filters.of_path)).where(*of_clip).scalar_subquery())
        return [walk.where(kind) for kind in kinds]

    def copies(self) -> Keys:
        """Clips with the bytes of an earlier one: its prediction is theirs."""
        walk = self.keys(clip.c.upload_id, clip.c.member)
        walk = walk.join(prediction, of_original(self.model_version))
        return walk.where(
            clip.c.job_id == self.job_id,
            clip.c.duplicate_of.is_not(None),
            *self.filters.of_predictions,
            *self.filters.of_path,
        )

    def unpack_failures(self) -> Keys:
        """Clips that never reached a model."""
        walk = self.keys(clip.c.upload_id, clip.c.member)
        return walk.where(clip.c.job_id == self.job_id, clip.c.error_code.is_not(None), *self.filters.of_path)

    def few_paths(self) -> Keys:
        """Every clip under the prefix, with its prediction looked up."""
        ended = and_(prediction.c.clip_id.is_not(None), *self.filters.of_predictions)
        if self.filters.want_unpack_failures:
            ended = or_(ended, clip.c.error_code.is_not(None))
        keys = select(clip.c.upload_id, clip.c.member).outerjoin(prediction, of_clip(self.model_version))
        # OFFSET 0 keeps PostgreSQL from looking through all clips in the order of the page.
        paths = *self.under_prefix(), *self.filters.of_path
        return keys.where(*paths, *self.behind_cursor(), ended).offset(0)

    def narrow(self) -> list[Conditions]:
        """Ranges of the indexes on predictions, each of which holds every answer that is wanted."""
        filters = self.filters
        ranges: list[Conditions] = []
        if filters.emotions:
            ranges.append([prediction.c.emotion.in_(sorted(filters.emotions))])
        elif filters.outcomes:
            ranges.append([prediction.c.outcome.in_(sorted(filters.outcomes))])
        if filters.of_confidence:
            ranges.append(filters.of_confidence)
        version = prediction.c.job_id == self.job_id, prediction.c.model_version == self.model_version
        return [[*version, *one] for one in ranges]

    def few_answers(self, narrow: Conditions) -> list[Keys]:
        """Every answer in a range of `narrow` that holds few, and the copies of its clip."""
        columns = prediction.c["clip_id", "upload_id", "member", "outcome", "emotion", "confidence"]
        # Asked for twice, so both databases look it up once, and by no other index.
        few = select(*columns).where(*narrow, *self.filters.of_quality).cte("few")
        own = select(few.c.upload_id, few.c.member)
        copies = select(clip.c.upload_id, clip.c.member).join(few, clip.c.duplicate_of == few.c.clip_id)
        if self.filters.of_path:
            own = own.join(clip, clip.c.id == few.c.clip_id).where(*self.filters.of_path)
        if self.after is not None:
            own = own.where(few.c.upload_id * PLACES + few.c.member > self.place_of(self.after))
        failures = [self.unpack_failures()] if self.filters.want_unpack_failures else []
        of_few = self.filters.of(few)
        return [
            own.where(*of_few),
            copies.where(clip.c.job_id == self.job_id, *of_few, *self.filters.of_path, *self.behind_cursor()),
            *failures,
        ]

    def under_prefix(self) -> Conditions:
        """A range of the index on paths."""
        start = begins(_path_start, self.filters.path_prefix[:PATH_START])
        return [clip.c.job_id == self.job_id, *start]

    def behind_cursor(self) -> list[ColumnElement[bool]]:
        """As one number: a pair draws the planners from the index on paths to another."""
        return [] if self.after is None else [place > self.place_of(self.after)]

    @staticmethod
    def place_of(cursor: Cursor) -> int:
        """As `place` is of a clip."""
        return cursor[0] * PLACES + cursor[1]

    def keys(self, upload_id: ColumnElement[int], member: ColumnElement[int]) -> Keys:
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
