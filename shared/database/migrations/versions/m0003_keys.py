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
    op.execute("DROP VIEW results")
    _add_webhooks()
    op.execute(RESULTS)


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


def downgrade() -> None:
    op.execute("DROP VIEW results")
    op.drop_table("webhook")
    op.execute(m0001_jobs.RESULTS)
