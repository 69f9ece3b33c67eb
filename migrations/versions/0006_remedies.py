"""The command that ends a pause, apart from its reason, so that it can be copied.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # The column is added in place: a table that is made anew loses what refers to it.
    op.add_column("backend", sa.Column("paused_remedy", sa.Text))
