"""Rows of model versions, as they were when first used, and of the names that move between them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from shared.database.sessions import Database
from shared.database.tables import alias, model


def known_manifest(connection: Connection, version: str) -> dict[str, Any] | None:
    """The manifest that a version had when it was first used; None where it was not yet."""
    statement = select(model.c.manifest).where(model.c.version == version)
    manifest: dict[str, Any] | None = connection.execute(statement).scalar_one_or_none()
    return manifest


def insert_model(
    connection: Connection, database: Database, version: str, manifest: dict[str, Any], created_at: float
) -> None:
    """Remember a version; one that is known stays as it is. created_at: seconds since 1970."""
    values = {"version": version, "manifest": manifest, "created_at": created_at}
    connection.execute(database.insert(model).values(values).on_conflict_do_nothing())


def replace_model(
    connection: Connection, database: Database, version: str, manifest: dict[str, Any], created_at: float
) -> None:
    """Remember a version, or what is now known of it. created_at: seconds since 1970."""
    values = {"version": version, "manifest": manifest, "created_at": created_at}
    statement = database.insert(model).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["version"], set_=values))


def set_manifest(connection: Connection, version: str, manifest: dict[str, Any]) -> None:
    """A version that is known has more files than it had."""
    connection.execute(update(model).where(model.c.version == version).values(manifest=manifest))


def aliases(connection: Connection) -> dict[str, str]:
    """Which version each name that was moved means now."""
    return dict(connection.execute(select(alias.c.name, alias.c.version)).all())


def move_alias(connection: Connection, database: Database, name: str, version: str) -> None:
    """From now on the name means this version."""
    moved = {"version": version, "moved_at": database.clock}
    statement = database.insert(alias).values(name=name, **moved)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=moved))
