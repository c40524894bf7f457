"""Clips of a job that were drawn at random, by whose labels its accuracy is estimated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBER = "in the order in which they were drawn, from 0"


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "review_sample",
        sa.Column("job_id", ID, nullable=False, autoincrement=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False, comment=NUMBER),
        sa.Column("clip_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_review_sample_job_id"),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name="fk_review_sample_clip_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_review_sample"),
    )
    op.create_index("ix_review_sample_clip_id", "review_sample", ["clip_id"])


def downgrade() -> None:
    """Back."""
    op.drop_table("review_sample")
