"""Which result rows are wanted, as conditions that the walks of `shared.database.results` take."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from shared.database.tables import clip, prediction


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows are wanted; what is empty or None does not limit.

    outcomes, emotions: any of these. lowest, highest: the confidence's bounds, both included.
    path_prefix: how the path begins, as bytes are compared (`Actor_01/`; case matters).
    """

    outcomes: frozenset[str] = frozenset()
    emotions: frozenset[str] = frozenset()
    lowest: float | None = None
    highest: float | None = None
    path_prefix: str = ""

    @property
    def of_predictions(self) -> list[ColumnElement[bool]]:
        """What a prediction's own columns must fulfil."""
        conditions: list[ColumnElement[bool]] = []
        if self.outcomes:
            conditions.append(prediction.c.outcome.in_(sorted(self.outcomes)))
        if self.emotions:
            conditions.append(prediction.c.emotion.in_(sorted(self.emotions)))
        return conditions + self.of_confidence

    @property
    def of_confidence(self) -> list[ColumnElement[bool]]:
        """The part that every index on predictions answers by itself."""
        conditions: list[ColumnElement[bool]] = []
        if self.lowest is not None:
            conditions.append(prediction.c.confidence >= self.lowest)
        if self.highest is not None:
            conditions.append(prediction.c.confidence <= self.highest)
        return conditions

    @property
    def of_path(self) -> list[ColumnElement[bool]]:
        """What the path must fulfil; no index answers it, so none draws a planner from the walk."""
        return begins(clip.c.path, self.path_prefix) if self.path_prefix else []

    @property
    def want_unpack_failures(self) -> bool:
        """Whether a clip that unpack itself ended can be among the rows."""
        can_be = not self.outcomes or "failed" in self.outcomes
        return can_be and not self.emotions and self.lowest is None and self.highest is None


def begins(column: ColumnElement[str], prefix: str) -> list[ColumnElement[bool]]:
    """The column begins with the prefix, as a range: LIKE takes no index on SQLite where case matters."""
    conditions = [column >= prefix]
    head = prefix.rstrip(chr(0x10FFFF))
    if head:
        # U+D800 to U+DFFF are no characters.
        following = 0xE000 if head[-1] == "\ud7ff" else ord(head[-1]) + 1
        conditions.append(column < head[:-1] + chr(following))
    return conditions
