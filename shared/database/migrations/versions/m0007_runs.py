"""When a job's last run began, and what stood then: rate and time left are of that run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    began = "by the last retry or reclassify; null: at started_at"
    op.add_column("job", sa.Column("run_started_at", sa.Float(precision=53), comment=began))
    stood = "outcomes that stood when that run began"
    zero = sa.text("0")
    op.add_column(
        "job", sa.Column("run_done", sa.Integer(), nullable=False, server_default=zero, comment=stood)
    )


def downgrade() -> None:
    """Back."""
    op.drop_column("job", "run_done")
    op.drop_column("job", "run_started_at")
