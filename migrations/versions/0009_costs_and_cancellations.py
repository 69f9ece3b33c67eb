"""When costs are asked for again, what backends say of times, and what became of cancellations.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

INSTANT = sa.Text  # UTC, ISO-8601 with Z, milliseconds


def upgrade() -> None:
    # Columns are added in place: a table that is made anew loses what refers to it.
    for column in (
        sa.Column("costs_tries", sa.Integer, server_default="0", nullable=False),
        sa.Column("costs_not_before", INSTANT),
        sa.Column("backend_created_at", INSTANT),
        sa.Column("backend_queued_at", INSTANT),
        sa.Column("backend_started_at", INSTANT),
        sa.Column("backend_ended_at", INSTANT),
        sa.Column("cancel_tries", sa.Integer, server_default="0", nullable=False),
        sa.Column("cancel_not_before", INSTANT),
        sa.Column("cancel_error", sa.Text),
    ):
        op.add_column("attempt", column)
    op.create_index(
        "ix_attempt_costs_not_before",
        "attempt",
        ["costs_not_before"],
        sqlite_where=sa.text("costs_not_before IS NOT NULL"),
    )
    op.create_index(
        "ix_job_cancel_requested_at",
        "job",
        ["cancel_requested_at"],
        sqlite_where=sa.text("cancel_requested_at IS NOT NULL"),
    )
    # Batch jobs of which the costs were not known when they ended are asked for them once more.
    op.execute(
        """UPDATE attempt SET costs_not_before = ended_at
WHERE costs IS NULL AND ended_at IS NOT NULL AND chosen_id IS NOT NULL
AND backend_status IN ('finished', 'error', 'canceled')"""
    )
