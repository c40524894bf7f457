"""Segments, and which windows and channels a job asks for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SECONDS = sa.Float(precision=53)


def upgrade() -> None:
    """Forward."""
    for name, default, comment in (
        ("windows", "clip", "clip or sliding"),
        ("channels", "mix", "mix or separate"),
    ):
        kind, unless_set = sa.String(length=16), sa.text(f"'{default}'")
        op.add_column(
            "job", sa.Column(name, kind, server_default=unless_set, nullable=False, comment=comment)
        )
    for name, comment in (
        ("win_s", "of sliding windows; null: as long as the version hears at once"),
        ("hop_s", "of sliding windows; null: half of a window"),
    ):
        op.add_column("job", sa.Column(name, SECONDS, nullable=True, comment=comment))
    comment = "by channel, then time, from 0"
    op.create_table(
        "segment",
        sa.Column("clip_id", ID, autoincrement=False, nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False, comment=comment),
        sa.Column("channel", sa.Integer(), nullable=False, comment="from 1; 0: all of them, mixed"),
        sa.Column("start_s", SECONDS, nullable=False),
        sa.Column("end_s", SECONDS, nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("emotion", sa.Text(), nullable=True, comment="null unless classified"),
        sa.Column("confidence", SECONDS, nullable=True),
        sa.Column("probabilities", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('classified', 'rejected', 'no_voice', 'failed')", name="ck_segment_outcome"
        ),
        sa.ForeignKeyConstraint(
            ["clip_id", "model_version"],
            ["prediction.clip_id", "prediction.model_version"],
            name="fk_segment_clip_id",
        ),
        sa.PrimaryKeyConstraint("clip_id", "model_version", "number", name="pk_segment"),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("segment")
    for name in ("hop_s", "win_s", "channels", "windows"):
        op.drop_column("job", name)
