"""Resumable uploads, idempotent jobs, deletion, labels, registered models, filters on results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.database.migrations.versions.m0001_jobs import RESULTS

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SECONDS = sa.Float(precision=53)
PLACE = (("job_id", ID), ("upload_id", ID), ("member", sa.Integer()))


def upgrade() -> None:
    """Forward."""
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
        "retraining",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="fences stale leases",
        ),
        sa.Column("lease_until", SECONDS, nullable=True),
        sa.Column("asked_at", SECONDS, nullable=True, comment="by a person; null: nobody waits"),
        sa.Column("taken_at", SECONDS, nullable=True),
        sa.Column("ended_at", SECONDS, nullable=True),
        sa.Column("text", sa.Text(), nullable=True, comment="what became of the last one"),
        sa.PrimaryKeyConstraint("id", name="pk_retraining"),
    )
    op.execute("INSERT INTO retraining (id) VALUES (1)")
    op.create_table(
        "alias",
        sa.Column("name", sa.Text(), nullable=False, comment="candidate, …"),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("moved_at", SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_alias"),
    )
    _index_results()


def _index_results() -> None:
    """Where a prediction's clip stands goes onto its row, so that an index gives pages of any filter."""
    op.execute("DROP VIEW results")  # neither database changes a column under a view
    for name, kind in PLACE:
        comment = "the clip's, as the next two: for the indexes" if name == "job_id" else None
        op.add_column("prediction", sa.Column(name, kind, nullable=True, comment=comment))
    # One UPDATE: each writes every row anew.
    names = ", ".join(name for name, _ in PLACE)
    places = ", ".join(f"c.{name}" for name, _ in PLACE)
    of_clip = f"SELECT {places} FROM clip c WHERE c.id = prediction.clip_id"  # noqa: S608
    op.execute(f"UPDATE prediction SET ({names}) = ({of_clip})")  # noqa: S608
    with op.batch_alter_table("prediction") as batch:
        for name, kind in PLACE:
            batch.alter_column(name, existing_type=kind, nullable=False)
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("clip", "path", type_=sa.Text(collation="C"), existing_nullable=False)
    place = "upload_id", "member"
    _create_index("ix_clip_copies", "clip", ["job_id", *place, "duplicate_of"], "duplicate_of IS NOT NULL")
    _create_index("ix_clip_unpack_failures", "clip", ["job_id", *place], "error_code IS NOT NULL")
    _create_index("ix_clip_path", "clip", ["job_id", sa.text("substr(path, 1, 250)"), *place])
    of_version = "job_id", "model_version"
    _create_index("ix_prediction_by_outcome", "prediction", [*of_version, "outcome", *place, "confidence"])
    _create_index(
        "ix_prediction_by_emotion",
        "prediction",
        [*of_version, "emotion", *place, "confidence"],
        "emotion IS NOT NULL",
    )
    op.execute(RESULTS)


def _create_index(
    name: str, table: str, columns: list[str | sa.TextClause], where: str | None = None
) -> None:
    only = None if where is None else sa.text(where)
    op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)


def downgrade() -> None:
    """Back."""
    op.execute("DROP VIEW results")
    for name in ("by_emotion", "by_outcome"):
        op.drop_index(f"ix_prediction_{name}", "prediction")
    for name in ("path", "unpack_failures", "copies"):
        op.drop_index(f"ix_clip_{name}", "clip")
    for name, _ in reversed(PLACE):
        op.drop_column("prediction", name)
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("clip", "path", type_=sa.Text(collation="default"), existing_nullable=False)
    op.execute(RESULTS)
    for table in ("alias", "retraining", "model", "label", "tombstone", "upload_part"):
        op.drop_table(table)
    for column in ("touched_at", "expected_bytes", "multipart_id", "bucket"):
        op.drop_column("upload", column)
    op.drop_index("uq_job_idempotency_key", "job")
    for column in ("idempotency_digest", "idempotency_key"):
        op.drop_column("job", column)
