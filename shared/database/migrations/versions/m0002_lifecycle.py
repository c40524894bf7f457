"""Resumable uploads, idempotent jobs, deletion, labels, registered models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SECONDS = sa.Float(precision=53)


def upgrade() -> None:
    op.add_column(
        "job", sa.Column("idempotency_key", sa.Text(), nullable=True, comment="of the request that made it")
    )
    op.add_column(
        "job",
        sa.Column(
            "idempotency_digest",
            sa.String(length=64),
            nullable=True,
            comment="SHA-256 of that request's body",
        ),
    )
    # An index, not a constraint: SQLite cannot add one to a table that stands.
    op.create_index("uq_job_idempotency_key", "job", ["idempotency_key"], unique=True)
    op.add_column(
        "upload",
        sa.Column(
            "bucket",
            sa.Text(),
            nullable=True,
            comment="where another than ours holds it: then it is never deleted",
        ),
    )
    op.add_column(
        "upload",
        sa.Column(
            "multipart_id",
            sa.Text(),
            nullable=True,
            comment="the store's name for an upload in parts that is being received",
        ),
    )
    op.add_column(
        "upload",
        sa.Column("expected_bytes", sa.BigInteger(), nullable=True, comment="as the client announced"),
    )
    op.add_column(
        "upload",
        sa.Column(
            "touched_at",
            SECONDS,
            nullable=True,
            comment="last part received; an hour later it counts as given up",
        ),
    )
    op.create_table(
        "upload_part",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False, comment="from 1"),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name="fk_upload_part_upload_id"),
        sa.PrimaryKeyConstraint("upload_id", "number", name="pk_upload_part"),
    )
    op.create_table(
        "tombstone",
        sa.Column("id", ID, nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False, comment="of a deleted job's keys in the store"),
        sa.Column(
            "sweep_after", SECONDS, nullable=False, comment="when no presigned address is valid any more"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tombstone"),
        sa.UniqueConstraint("prefix", name="uq_tombstone_prefix"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "label",
        sa.Column("id", ID, nullable=False),
        sa.Column("clip_id", ID, nullable=False),
        sa.Column("emotion", sa.Text(), nullable=False),
        sa.Column("speaker", sa.Text(), nullable=True),
        sa.Column("labeller", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name="fk_label_clip_id"),
        sa.PrimaryKeyConstraint("id", name="pk_label"),
        sa.UniqueConstraint("clip_id", "labeller", name="uq_label_clip_id_labeller"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "model",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_model"),
    )
    op.create_table(
        "alias",
        sa.Column("name", sa.Text(), nullable=False, comment="candidate, …"),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("moved_at", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_alias"),
    )


def downgrade() -> None:
    for table in ("alias", "model", "label", "tombstone", "upload_part"):
        op.drop_table(table)
    for column in ("touched_at", "expected_bytes", "multipart_id", "bucket"):
        op.drop_column("upload", column)
    op.drop_index("uq_job_idempotency_key", "job")
    for column in ("idempotency_digest", "idempotency_key"):
        op.drop_column("job", column)
