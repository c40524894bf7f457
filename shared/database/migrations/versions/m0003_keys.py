"""API keys, whose job it is, and webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.database.migrations.versions import m0001_jobs

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SECONDS = sa.Float(precision=53)
# A clip that unpack itself ended is a row of every version that its job was classified under, as in the API.
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
SELECT c.job_id, j.model_version, c.path, 'failed', NULL, NULL, NULL, v.model_version, NULL, c.error_code,
       c.error, u.name, c.id, NULL
  FROM clip c
  JOIN job j ON j.id = c.job_id
  JOIN upload u ON u.id = c.upload_id
  JOIN (SELECT id AS job_id, model_version FROM job UNION SELECT job_id, model_version FROM unit) v
    ON v.job_id = c.job_id
 WHERE c.error_code IS NOT NULL
"""


def upgrade() -> None:
    """Forward."""
    _add_pauses()
    op.execute("DROP VIEW results")
    _add_keys()
    _add_webhooks()
    op.execute(RESULTS)


def _add_keys() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", ID, nullable=False),
        sa.Column("prefix", sa.String(length=11), nullable=False, comment="how the key begins; in lists"),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of the key"),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False, comment="separated by spaces"),
        sa.Column("created_at", SECONDS, nullable=False),
        sa.Column("expires_at", SECONDS, nullable=True),
        sa.Column("last_used_at", SECONDS, nullable=True, comment="to the minute"),
        sa.Column("revoked_at", SECONDS, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("digest", name="uq_api_key_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_key_prefix", "api_key", ["prefix"])
    comment = "the API key that made it; null: made without one"
    op.add_column("job", sa.Column("key_id", ID, nullable=True, comment=comment))
    op.drop_index("uq_job_idempotency_key", "job")
    op.create_index("uq_job_key_id_idempotency_key", "job", ["key_id", "idempotency_key"], unique=True)
    keyless = sa.text("key_id IS NULL")
    op.create_index(
        "uq_job_idempotency_key",
        "job",
        ["idempotency_key"],
        unique=True,
        sqlite_where=keyless,
        postgresql_where=keyless,
    )


def _add_webhooks() -> None:
    op.create_table(
        "webhook",
        sa.Column("job_id", ID, autoincrement=False, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "private", sa.Boolean(), nullable=False, comment="whether it may lead into a private network"
        ),
        sa.Column("state", sa.String(length=16), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column(
            "event_id", sa.Text(), nullable=True, comment="of the job's last end; null: it has not ended yet"
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", SECONDS, nullable=True, comment="when to try; null: nothing is owed"),
        sa.Column("error", sa.Text(), nullable=True, comment="why the last try failed"),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'given_up')", name="ck_webhook_state"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_webhook_job_id"),
        sa.PrimaryKeyConstraint("job_id", name="pk_webhook"),
    )
    owed = sa.text("due_at IS NOT NULL")
    op.create_index("ix_webhook_due_at", "webhook", ["due_at"], sqlite_where=owed, postgresql_where=owed)


def _add_pauses() -> None:
    zero = sa.text("0")
    comment = "since the last boundary"
    op.add_column(
        "upload", sa.Column("crashes", sa.Integer(), server_default=zero, nullable=False, comment=comment)
    )
    for table in ("upload", "unit"):
        comment = "leases given back"
        op.add_column(
            table, sa.Column("returns", sa.Integer(), server_default=zero, nullable=False, comment=comment)
        )
        comment = "a pause after something outside failed; null: now"
        op.add_column(table, sa.Column("not_before", SECONDS, nullable=True, comment=comment))


def downgrade() -> None:
    """Back."""
    for table in ("unit", "upload"):
        op.drop_column(table, "not_before")
        op.drop_column(table, "returns")
    op.drop_column("upload", "crashes")
    op.execute("DROP VIEW results")
    op.drop_table("webhook")
    _remove_keys()
    op.execute(m0001_jobs.RESULTS)


def _remove_keys() -> None:
    op.drop_index("uq_job_idempotency_key", "job")
    op.drop_index("uq_job_key_id_idempotency_key", "job")
    # Two keys may have used the same; the schema before knows one for all.
    op.execute("UPDATE job SET idempotency_key = NULL, idempotency_digest = NULL WHERE key_id IS NOT NULL")
    op.create_index("uq_job_idempotency_key", "job", ["idempotency_key"], unique=True)
    op.drop_column("job", "key_id")
    op.drop_table("api_key")
