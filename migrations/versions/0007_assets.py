"""Results file by file: what was announced of each, what is here of it, and when results expire.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

INSTANT = sa.Text  # UTC, ISO-8601 with Z, milliseconds


def upgrade() -> None:
    # Columns are added in place: a table that is made anew loses what refers to it.
    for column in (
        sa.Column("announced_size", sa.Integer),
        sa.Column("announced_checksum", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("part_version", sa.Text),
        sa.Column("part_boot_id", sa.Text),
    ):
        op.add_column("asset", column)
    # Until now paths began where the script ran; from now on at the folder of the database, or at the root.
    op.execute(
        "UPDATE asset SET path = (SELECT folder FROM runner ORDER BY id DESC LIMIT 1) || '/' || path "
        "WHERE path NOT LIKE '/%' AND path NOT LIKE '_:%' AND EXISTS (SELECT 1 FROM runner)"
    )
    op.create_index("ix_asset_path", "asset", ["path"], unique=False)
    op.add_column("attempt", sa.Column("results_expire_at", INSTANT))
