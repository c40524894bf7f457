"""The champion moves: each move, who made it, and whether it may move at all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNDONE = "by a rollback; null: it stands"
FROZEN = "null: the champion may move"


def upgrade() -> None:
    """Forward."""
    seconds = sa.Float(precision=53)
    op.create_table(
        "promotion",
        sa.Column("id", ID, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False, comment="the champion until then"),
        sa.Column("promoted_by", sa.Text(), nullable=False, comment="an API key, the owner, or the gate"),
        sa.Column("promoted_at", seconds, nullable=False),
        sa.Column("undone_at", seconds, comment=UNDONE),
        sa.PrimaryKeyConstraint("id", name="pk_promotion"),
        sqlite_autoincrement=True,
    )
    op.add_column("retraining", sa.Column("frozen_at", seconds, comment=FROZEN))


def downgrade() -> None:
    """Back."""
    op.drop_column("retraining", "frozen_at")
    op.drop_table("promotion")
