"""How long each runner counts as alive when it is not heard of.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("runner", sa.Column("lease", sa.Float, server_default="120", nullable=False))
