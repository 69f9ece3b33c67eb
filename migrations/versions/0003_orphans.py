"""What is known of orphans: batch jobs that were created for a row, and that no attempt chose.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INSTANT = sa.Text  # UTC, ISO-8601 with Z, milliseconds


def upgrade() -> None:
    # Columns are added in place: a table that is made anew loses what refers to it.
    for column in (
        sa.Column("found_at", INSTANT),
        sa.Column("seen_status", sa.Text),
        sa.Column("settled_as", sa.Text),
        sa.Column("settled_at", INSTANT),
    ):
        op.add_column("batch_job", column)
