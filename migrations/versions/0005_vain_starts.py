"""How many starts of a batch job had no effect.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # The column is added in place: a table that is made anew loses what refers to it.
    op.add_column("batch_job", sa.Column("vain_starts", sa.Integer, server_default="0", nullable=False))
