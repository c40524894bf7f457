"""Which result rows are wanted, as conditions that the walks of `shared.database.results` take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, FromClause, or_

from shared.core.states import Outcome
from shared.database.tables import clip, prediction


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows are wanted; what is empty or None does not limit.

    outcomes, emotions, qualities: any of these. lowest, highest: the confidence's bounds, both included.
    path_prefix: how the path begins, as bytes are compared (`Actor_01/`; case matters).
    """

    outcomes: frozenset[str] = frozenset()
    emotions: frozenset[str] = frozenset()
    lowest: float | None = None
    highest: float | None = None
    path_prefix: str = ""
    qualities: frozenset[str] = frozenset()

    def of(self, answers: FromClause) -> list[ColumnElement[bool]]:
        """What the columns of an answer must fulfil: those of a prediction, or of a segment."""
        conditions: list[ColumnElement[bool]] = []
        if self.outcomes:
            conditions.append(answers.c.outcome.in_(sorted(self.outcomes)))
        if self.emotions:
            conditions.append(answers.c.emotion.in_(sorted(self.emotions)))
        if self.lowest is not None:
            conditions.append(answers.c.confidence >= self.lowest)
        if self.highest is not None:
            conditions.append(answers.c.confidence <= self.highest)
        return conditions

    @property
    def of_predictions(self) -> list[ColumnElement[bool]]:
        """What a prediction's own columns must fulfil."""
        return [*self.of(prediction), *self.of_quality]

    @property
    def of_quality(self) -> list[ColumnElement[bool]]:
        """What a prediction's quality must be: one of its words any of these."""
        words = [prediction.c.quality.contains(word) for word in sorted(self.qualities)]
        return [or_(*words)] if words else []

    @property
    def of_confidence(self) -> list[ColumnElement[bool]]:
        """The part that every index on predictions answers by itself."""
        return replace(self, outcomes=frozenset(), emotions=frozenset()).of(prediction)

    @property
    def of_path(self) -> list[ColumnElement[bool]]:
        """What the path must fulfil; no index answers it, so none draws a planner from the walk."""
        return begins(clip.c.path, self.path_prefix) if self.path_prefix else []

    @property
    def want_unpack_failures(self) -> bool:
        """Whether a clip that unpack itself ended can be among the rows."""
        can_be = not self.outcomes or Outcome.FAILED in self.outcomes
        has_none = self.emotions or self.qualities or self.lowest is not None or self.highest is not None
        return can_be and not has_none


def begins(column: ColumnElement[str], prefix: str) -> list[ColumnElement[bool]]:
    """The column begins with the prefix, as a range: LIKE takes no index on SQLite where case matters."""
    conditions = [column >= prefix]
    head = prefix.rstrip(chr(0x10FFFF))
    if head:
        # U+D800 to U+DFFF are no characters.
        following = 0xE000 if head[-1] == "\ud7ff" else ord(head[-1]) + 1
        conditions.append(column < head[:-1] + chr(following))
    return conditions
