"""Which version answers unless another is asked for, and how that is changed.

The guarantee: a job that is made after a move has the new champion, every job keeps the version that it was
made with, and each move is one transaction with the row that tells of it. A worker is told nothing: a unit
names its version, and a child that has not loaded it does so.

`VOXMOOD_CHAMPION` names the champion as long as none was promoted; the database does from then on.
"""

from __future__ import annotations

from shared.core.errors.models import ChampionFrozen, NothingToRollBack
from shared.database import models, promotions
from shared.database.sessions import Database
from voxmood.documents.requests import CHAMPION


def current(database: Database, default: str) -> str:
    """The champion now.

    Args:
        database: that remembers a promotion.
        default: the champion as long as there was none, from the settings.
    """
    with database.read() as connection:
        return promotions.champion(connection, default)


def promote(database: Database, version: str, default: str, promoted_by: str) -> None:
    """Make a version the champion; it may be the champion already.

    Args:
        database: that remembers it.
        version: one that is there and sound.
        default: as for `current`.
        promoted_by: an API key's name, the owner, or the gate.

    Raises:
        ChampionFrozen: the champion may not move.
    """
    with database.write() as connection:
        frozen = promotions.lock_champion(connection) is not None
        previous = promotions.champion(connection, default)
        if version == previous:
            return
        if frozen:
            raise ChampionFrozen(champion=previous)
        models.move_alias(connection, database, CHAMPION, version)
        promotions.insert_promotion(connection, database, version, previous, promoted_by)


def roll_back(database: Database, default: str) -> str:
    """Undo the newest promotion that stands, and freeze the champion: whoever rolls back wants it to stay.

    A frozen champion is rolled back too.

    Args:
        database: that remembers it.
        default: as for `current`.

    Returns:
        The champion now.

    Raises:
        NothingToRollBack: no promotion stands.
    """
    with database.write() as connection:
        promotions.lock_champion(connection)
        undone = promotions.undo_promotion(connection, database)
        if undone is None:
            raise NothingToRollBack(champion=promotions.champion(connection, default))
        models.move_alias(connection, database, CHAMPION, undone.previous)
        promotions.set_frozen(connection, database, frozen=True)
        return undone.previous


def freeze(database: Database, *, frozen: bool) -> None:
    """Have the champion stay what it is, whatever is trained, or let it move again."""
    with database.write() as connection:
        promotions.set_frozen(connection, database, frozen)
