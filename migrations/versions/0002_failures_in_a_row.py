"""What failures in a row are answered with: longer pauses, a cap that was learned, a fuse.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INSTANT = sa.Text  # UTC, ISO-8601 with Z, milliseconds


def upgrade() -> None:
    # Columns are added in place: a table that is made anew loses what refers to it.
    for column in (
        sa.Column("learned_at", INSTANT),
        sa.Column("is_polled", sa.Boolean, server_default="1", nullable=False),
        sa.Column("failures_in_a_row", sa.Integer, server_default="0", nullable=False),
        sa.Column("fuse_since", INSTANT),
        sa.Column("fuse_reason", sa.Text),
    ):
        op.add_column("backend", column)
    op.create_index("ix_attempt_ended_at", "attempt", ["ended_at"], unique=False)
