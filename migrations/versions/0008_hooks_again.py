"""How often the hook for the end of an attempt has raised, and when it is called again.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

INSTANT = sa.Text  # UTC, ISO-8601 with Z, milliseconds


def upgrade() -> None:
    # Columns are added in place: a table that is made anew loses what refers to it.
    op.add_column("attempt", sa.Column("hook_tries", sa.Integer, server_default="0", nullable=False))
    op.add_column("attempt", sa.Column("hook_not_before", INSTANT))
    # Until now a hook that raised was called once in each run.
    op.execute("UPDATE attempt SET hook_tries = 1 WHERE hook_failed_runner_id IS NOT NULL")
