"""Pauses and learned caps that are about one account of a backend, not about everybody there.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

INSTANT = sa.Text  # UTC, ISO-8601 with Z, milliseconds


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("backend_id", sa.Integer, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("learned_cap", sa.Integer),
        sa.Column("learned_at", INSTANT),
        sa.Column("paused_class", sa.Text),
        sa.Column("paused_reason", sa.Text),
        sa.Column("paused_remedy", sa.Text),
        sa.Column("paused_since", INSTANT),
        sa.Column("retry_at", INSTANT),
        sa.Column("is_polled", sa.Boolean, server_default="1", nullable=False),
        sa.Column("failures_in_a_row", sa.Integer, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["backend_id"], ["backend.id"], name="fk_account_backend_id"),
        sa.PrimaryKeyConstraint("backend_id", "account", name="pk_account"),
    )
