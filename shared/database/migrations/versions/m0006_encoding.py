"""The encoding of names in archives that do not say it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    comment = "of names in archives that do not say it; null: none was given"
    op.add_column("job", sa.Column("encoding", sa.Text(), comment=comment))


def downgrade() -> None:
    """Back."""
    op.drop_column("job", "encoding")
