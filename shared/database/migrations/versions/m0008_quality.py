"""What each recording is like: how wide its band is, how noisy it is, how much voice there is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.database.migrations.versions import m0003_keys

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MEASURED = {
    "bandwidth_hz": "up to where there is sound",
    "snr_db": "of the voice, above the floor between words",
    "voiced_s": "seconds of voice in all that was heard",
}
QUALITY = "good, or of narrow_band, noisy, little_voice those that are so, by spaces; null: not measured"
RESULTS = m0003_keys.RESULTS.replace(
    "p.probabilities AS probabilities",
    "p.probabilities AS probabilities, p.quality AS quality, p.bandwidth_hz AS bandwidth_hz,\n"
    "       p.snr_db AS snr_db, p.voiced_s AS voiced_s",
).replace("u.name, c.id, NULL", "u.name, c.id, NULL, NULL, NULL, NULL, NULL")


def upgrade() -> None:
    """Forward."""
    op.execute("DROP VIEW results")
    op.add_column("prediction", sa.Column("quality", sa.String(length=32), comment=QUALITY))
    for name, comment in MEASURED.items():
        op.add_column("prediction", sa.Column(name, sa.Float(precision=53), comment=comment))
    op.execute(RESULTS)


def downgrade() -> None:
    """Back."""
    op.execute("DROP VIEW results")
    for name in ("quality", *MEASURED):
        op.drop_column("prediction", name)
    op.execute(m0003_keys.RESULTS)
