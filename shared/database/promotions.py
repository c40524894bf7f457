"""Which version is the champion, and every move of that name.

`shared.jobs.champions` is what is made of these statements. Whoever moves the name locks the row of
`retraining` first, so that two moves come one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, null, select, update

from shared.database.sessions import Database
from shared.database.tables import alias, promotion, retraining
from voxmood.documents.requests import CHAMPION


@dataclass(frozen=True, slots=True)
class Promotion:
    """A move of the champion's name.

    promoted_by: an API key's name, the owner, or the gate; undone_at: by a rollback, None: it stands. Times
    are seconds since 1970 by the database's clock.
    """

    id: int
    version: str
    previous: str
    promoted_by: str
    promoted_at: float
    undone_at: float | None


def champion(connection: Connection, default: str) -> str:
    """The champion now. default: as long as none was promoted."""
    version = connection.execute(select(alias.c.version).where(alias.c.name == CHAMPION)).scalar_one_or_none()
    return version or default


def lock_champion(connection: Connection) -> float | None:
    """Have other moves wait for the end of this transaction; since when the champion is frozen, if it is."""
    row = connection.execute(select(retraining.c.frozen_at).with_for_update()).one()
    frozen_at: float | None = row.frozen_at
    return frozen_at


def frozen_since(connection: Connection) -> float | None:
    """Since when the champion may not move; None: it may."""
    since: float | None = connection.execute(select(retraining.c.frozen_at)).scalar_one()
    return since


def set_frozen(connection: Connection, database: Database, frozen: bool) -> None:
    """Have the champion stay what it is, or let it move again; the first time counts."""
    row = update(retraining).where(retraining.c.frozen_at.is_(None) if frozen else retraining.c.id > 0)
    connection.execute(row.values(frozen_at=database.clock if frozen else null()))


def insert_promotion(
    connection: Connection, database: Database, version: str, previous: str, promoted_by: str
) -> None:
    """Remember a move."""
    values = {"version": version, "previous": previous, "promoted_by": promoted_by}
    connection.execute(database.insert(promotion).values(values | {"promoted_at": database.clock}))


def undo_promotion(connection: Connection, database: Database) -> Promotion | None:
    """Take the newest promotion that stands for undone; what it was, or None where there is none."""
    newest = select(promotion).where(promotion.c.undone_at.is_(None)).order_by(promotion.c.id.desc()).limit(1)
    row = connection.execute(newest).mappings().one_or_none()
    if row is None:
        return None
    undone = update(promotion).where(promotion.c.id == row["id"]).values(undone_at=database.clock)
    connection.execute(undone)
    return Promotion(**row)


def promotions(connection: Connection, most: int) -> list[Promotion]:
    """The newest moves, the last one first."""
    statement = select(promotion).order_by(promotion.c.id.desc()).limit(most)
    return [Promotion(**row) for row in connection.execute(statement).mappings()]
