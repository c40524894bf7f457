"""An index for narrow ranges of confidence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    has_one = sa.text("confidence IS NOT NULL")
    op.create_index(
        "ix_prediction_by_confidence",
        "prediction",
        ["job_id", "model_version", "confidence", "upload_id", "member"],
        sqlite_where=has_one,
        postgresql_where=has_one,
    )


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_prediction_by_confidence", "prediction")
