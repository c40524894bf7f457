"""Brings the schema to its newest form: `python -m shared.database.upgrade`.

Each step of a schema is one transaction with all before it: whoever is killed in between leaves the old one.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from shared.core.errors.base import VoxmoodError
from shared.core.errors.infrastructure import CannotWrite
from shared.core.errors.stack import DatabaseNewer
from shared.core.settings import Settings
from shared.database.sessions import Database

MIGRATIONS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def head() -> str:
    """The revision that this code expects."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(database: Database) -> str | None:
    """The revision that the database has; None when it is empty."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check(database: Database) -> None:
    """Whether this code can use the database, or bring it to where it can.

    Raises:
        DatabaseNewer: a newer voxmood has brought it to a revision that this one does not know.
    """
    there = current(database)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if there is not None and there not in known:
        name = database.url.render_as_string(hide_password=True)
        raise DatabaseNewer(database=name, revision=there, known=head())


def to_newest(database: Database) -> Path | None:
    """`check`, and forward to the newest revision.

    Of an SQLite database that stands on an older one, a copy is kept beside it, whose path is returned:
    the way back for those who find that they want the voxmood before.

    Raises:
        DatabaseNewer: see `check`.
        CannotWrite: there is no room for the copy; the database is as it was.
    """
    check(database)
    there = current(database)
    kept = None
    if database.is_sqlite and there is not None and there != head():
        kept = Path(f"{database.url.database}.before-{head()}")
        _copy(Path(str(database.url.database)), kept)
    upgrade(database)
    return kept


def _copy(path: Path, copy: Path) -> None:
    """What is committed in an SQLite database, as a file of its own; others may write meanwhile."""
    new = copy.with_name(f"{copy.name}.new")
    try:
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(new)) as target:
            source.backup(target)
        new.replace(copy)
    except (OSError, sqlite3.Error) as error:
        new.unlink(missing_ok=True)
        raise CannotWrite(path=copy, reason=error) from error


def upgrade(database: Database, revision: str = "head") -> None:
    """Forward to a revision, in one transaction."""
    _run(command.upgrade, database, revision)


def downgrade(database: Database, revision: str) -> None:
    """Back to a revision (`base`: nothing), in one transaction."""
    _run(command.downgrade, database, revision)


def _run(step: Callable[[Config, str], None], database: Database, revision: str) -> None:
    config = _config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        step(config, revision)


if __name__ == "__main__":
    try:
        if copied := to_newest(Database(Settings().database_url)):
            sys.stdout.write(f"The database before the change of its schema is kept: {copied}\n")
    except VoxmoodError as refused:
        sys.exit(str(refused))
