"""Brings the schema to its newest form: `python -m shared.database.upgrade`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from shared.database.sessions import Database
from shared.settings import Settings

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
    upgrade(Database(Settings().database_url))
