"""Jobs, uploads, shards, clips, units, predictions, and the view `results`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# One row a clip and version, the columns in the order of the exports. Clips that unpack itself ended
# (encrypted, damaged, …) have no prediction: their error stands on the clip row.
RESULTS = """
CREATE VIEW results AS
SELECT c.job_id AS job, j.model_version AS job_model_version, c.path AS path, p.outcome AS outcome,
       p.emotion AS emotion, p.confidence AS confidence, p.threshold AS threshold,
       p.model_version AS model_version, p.duration_s AS duration_s, p.error_code AS error_code,
       replace(p.error, '{path}', c.path) AS error, u.name AS upload, c.id AS clip_id,
       p.probabilities AS probabilities
  FROM clip c
  JOIN job j ON j.id = c.job_id
  JOIN upload u ON u.id = c.upload_id
  JOIN prediction p ON p.clip_id = coalesce(c.duplicate_of, c.id)
UNION ALL
SELECT c.job_id, j.model_version, c.path, 'failed', NULL, NULL, NULL, j.model_version, NULL, c.error_code,
       c.error, u.name, c.id, NULL
  FROM clip c
  JOIN job j ON j.id = c.job_id
  JOIN upload u ON u.id = c.upload_id
 WHERE c.error_code IS NOT NULL
"""


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "consumption",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column(
            "seen_at",
            sa.Float(precision=53),
            nullable=False,
            comment="when a worker last took something from the queue",
        ),
        sa.PrimaryKeyConstraint("queue", name="pk_consumption"),
    )
    op.create_table(
        "job",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False, comment="UUID in the object store's keys"),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False, comment="resolved at creation; never moves"),
        sa.Column(
            "threshold", sa.Float(precision=53), nullable=True, comment="the job's own; null: the version's"
        ),
        sa.Column(
            "small",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="takes the small queues",
        ),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=True),
        sa.Column("ended_at", sa.Float(precision=53), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'running', 'done', 'failed', 'cancelled', 'deleting')", name="ck_job_state"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("key", name="uq_job_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "upload",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "bytes_read",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="by unpack so far",
        ),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="fences stale leases",
        ),
        sa.Column("lease_until", sa.Float(precision=53), nullable=True),
        sa.Column("rung_at", sa.Float(precision=53), nullable=True),
        sa.Column(
            "next_member",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="where unpack goes on",
        ),
        sa.Column("shards", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("clips", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("duplicates", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('receiving', 'pending', 'leased', 'done', 'failed')", name="ck_upload_state"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_upload_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_upload"),
        sa.UniqueConstraint("job_id", "name", name="uq_upload_job_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_upload_waiting",
        "upload",
        ["state", "rung_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending', 'leased')"),
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.create_table(
        "shard",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2, … within the upload"),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("clips", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_shard_job_id"),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name="fk_shard_upload_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shard"),
        sa.UniqueConstraint("object_key", name="uq_shard_object_key"),
        sa.UniqueConstraint("upload_id", "number", name="uq_shard_upload_id_number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shard_job_id", "shard", ["job_id"], unique=False)
    op.create_table(
        "clip",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("member", sa.Integer(), nullable=False, comment="its number in the archive, from 0"),
        sa.Column(
            "path", sa.Text(), nullable=False, comment="as the archive has it; data, never a path to open"
        ),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("shard_id", ID, nullable=True),
        sa.Column("offset", sa.BigInteger(), nullable=True, comment="of its first byte in the shard"),
        sa.Column("size", sa.BigInteger(), nullable=True, comment="bytes"),
        sa.Column("duplicate_of", ID, nullable=True),
        sa.Column(
            "error_code",
            sa.Text(),
            nullable=True,
            comment="set when unpack itself ended the clip: true for every version",
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["duplicate_of"], ["clip.id"], name="fk_clip_duplicate_of"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_clip_job_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_clip_shard_id"),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name="fk_clip_upload_id"),
        sa.PrimaryKeyConstraint("id", name="pk_clip"),
        sa.UniqueConstraint("upload_id", "member", name="uq_clip_upload_id_member"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_clip_archive_order", "clip", ["job_id", "upload_id", "member"], unique=False)
    op.create_index("ix_clip_duplicate_of", "clip", ["duplicate_of"], unique=False)
    op.create_index("ix_clip_shard_id", "clip", ["shard_id"], unique=False)
    op.create_index(
        "uq_clip_original",
        "clip",
        ["job_id", "sha256"],
        unique=True,
        sqlite_where=sa.text("duplicate_of IS NULL"),
        postgresql_where=sa.text("duplicate_of IS NULL"),
    )
    op.create_table(
        "unit",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("shard_id", ID, nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="fences stale leases",
        ),
        sa.Column("lease_until", sa.Float(precision=53), nullable=True),
        sa.Column("rung_at", sa.Float(precision=53), nullable=True),
        sa.Column(
            "crashes",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="children lost to it",
        ),
        sa.Column("classified", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("no_voice", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'leased', 'done')", name="ck_unit_state"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_unit_job_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_unit_shard_id"),
        sa.PrimaryKeyConstraint("id", name="pk_unit"),
        sa.UniqueConstraint("shard_id", "model_version", name="uq_unit_shard_id_model_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_unit_job_id", "unit", ["job_id"], unique=False)
    op.create_index(
        "ix_unit_waiting",
        "unit",
        ["state", "rung_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending', 'leased')"),
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.create_table(
        "clip_try",
        sa.Column("unit_id", ID, nullable=False),
        sa.Column("clip_id", ID, nullable=False),
        sa.Column(
            "tries",
            sa.Integer(),
            nullable=False,
            comment="committed before each decode of a unit that crashed",
        ),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name="fk_clip_try_clip_id"),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_clip_try_unit_id"),
        sa.PrimaryKeyConstraint("unit_id", "clip_id", name="pk_clip_try"),
    )
    op.create_table(
        "prediction",
        sa.Column("clip_id", ID, nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("unit_id", ID, nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("emotion", sa.Text(), nullable=True, comment="null unless classified"),
        sa.Column("confidence", sa.Float(precision=53), nullable=True),
        sa.Column("threshold", sa.Float(precision=53), nullable=True),
        sa.Column("duration_s", sa.Float(precision=53), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column(
            "error",
            sa.Text(),
            nullable=True,
            comment="{path} stands for the clip's path: its duplicates share the row",
        ),
        sa.Column("probabilities", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('classified', 'rejected', 'no_voice', 'failed')", name="ck_prediction_outcome"
        ),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name="fk_prediction_clip_id"),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_prediction_unit_id"),
        sa.PrimaryKeyConstraint("clip_id", "model_version", name="pk_prediction"),
    )
    op.create_index("ix_prediction_unit_id", "prediction", ["unit_id"], unique=False)
    op.execute(RESULTS)


def downgrade() -> None:
    """Back."""
    op.execute("DROP VIEW results")
    op.drop_index("ix_prediction_unit_id", table_name="prediction")
    op.drop_table("prediction")
    op.drop_table("clip_try")
    op.drop_index(
        "ix_unit_waiting",
        table_name="unit",
        sqlite_where=sa.text("state IN ('pending', 'leased')"),
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.drop_index("ix_unit_job_id", table_name="unit")
    op.drop_table("unit")
    op.drop_index(
        "uq_clip_original",
        table_name="clip",
        sqlite_where=sa.text("duplicate_of IS NULL"),
        postgresql_where=sa.text("duplicate_of IS NULL"),
    )
    op.drop_index("ix_clip_shard_id", table_name="clip")
    op.drop_index("ix_clip_duplicate_of", table_name="clip")
    op.drop_index("ix_clip_archive_order", table_name="clip")
    op.drop_table("clip")
    op.drop_index("ix_shard_job_id", table_name="shard")
    op.drop_table("shard")
    op.drop_index(
        "ix_upload_waiting",
        table_name="upload",
        sqlite_where=sa.text("state IN ('pending', 'leased')"),
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.drop_table("upload")
    op.drop_table("job")
    op.drop_table("consumption")
