"""Which runner is logged in as whom: several accounts of a backend may share a campaign.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "login",
        sa.Column("runner_id", sa.Integer, nullable=False),
        sa.Column("backend_id", sa.Integer, nullable=False),
        sa.Column("account", sa.Text),
        sa.ForeignKeyConstraint(["runner_id"], ["runner.id"], name="fk_login_runner_id"),
        sa.ForeignKeyConstraint(["backend_id"], ["backend.id"], name="fk_login_backend_id"),
        sa.PrimaryKeyConstraint("runner_id", "backend_id", name="pk_login"),
    )
