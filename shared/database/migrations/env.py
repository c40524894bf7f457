"""Alembic's entry: runs the revisions on the connection that `shared.database.upgrade` hands over."""

from alembic import context

from shared.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
