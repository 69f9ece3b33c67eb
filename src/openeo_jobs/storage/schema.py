"""The tables of a campaign, in SQLAlchemy Core; the migrations make them, a test holds both together."""

from __future__ import annotations

import sqlalchemy as sa

from openeo_jobs.storage.column_types import ForeignText, Instant, Seconds

APPLICATION_ID = 0x6F656A62
"""Bytes 68 to 71 of the file: "oejb"."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _words(column: str, *words: str) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


STATUS_WORDS = (
    *("not_started", "submitting", "created", "queued_for_start", "queued", "running", "finished"),
    *("error", "canceled", "skipped", "start_failed", "lost"),
)
RESULTS_WORDS = ("pending", "downloading", "downloaded", "failed", "not_wanted")
OUTCOME_WORDS = ("unknown", "created", "not_created", "adopted", "returned", "copy")

campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("index_column", sa.JSON, nullable=False),
    sa.Column("geometry", sa.Text),
    sa.Column("mirrors", sa.JSON, nullable=False),
    sa.Column("taken_over_from", sa.Text),
    sa.Column("edition", sa.Integer, nullable=False, server_default="0"),
    sa.CheckConstraint("id = 1", name="one_row"),
)

backend = sa.Table(
    "backend",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("url", sa.Text),
    sa.Column("account", sa.Text),
    sa.Column("currency", sa.Text),
    sa.Column("parallel_jobs", sa.Integer, nullable=False),
    sa.Column("learned_cap", sa.Integer),
    sa.Column("learned_at", Instant),
    sa.Column("keeps_titles", sa.Boolean),
    sa.Column("paused_class", sa.Text),
    sa.Column("paused_reason", ForeignText),
    sa.Column("paused_remedy", sa.Text),
    sa.Column("paused_since", Instant),
    sa.Column("retry_at", Instant),
    sa.Column("is_polled", sa.Boolean, nullable=False, server_default="1"),
    sa.Column("failures_in_a_row", sa.Integer, nullable=False, server_default="0"),
    sa.Column("fuse_since", Instant),
    sa.Column("fuse_reason", ForeignText),
    sa.CheckConstraint("parallel_jobs >= 0", name="parallel_jobs"),
)

account = sa.Table(
    "account",  # what is about one account of a backend; what is about everybody there is in `backend`
    metadata,
    sa.Column("backend_id", sa.Integer, sa.ForeignKey("backend.id"), primary_key=True),
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("learned_cap", sa.Integer),
    sa.Column("learned_at", Instant),
    sa.Column("paused_class", sa.Text),
    sa.Column("paused_reason", ForeignText),
    sa.Column("paused_remedy", sa.Text),
    sa.Column("paused_since", Instant),
    sa.Column("retry_at", Instant),
    sa.Column("is_polled", sa.Boolean, nullable=False, server_default="1"),
    sa.Column("failures_in_a_row", sa.Integer, nullable=False, server_default="0"),
)

runner = sa.Table(
    "runner",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uuid", sa.Text, nullable=False, unique=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
    sa.Column("pid_namespace", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_started_at", sa.Text, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("heartbeat_at", Instant, nullable=False),
    sa.Column("last_round_at", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("lease", Seconds, nullable=False, server_default="120"),
)

login = sa.Table(
    "login",
    metadata,
    sa.Column("runner_id", sa.Integer, sa.ForeignKey("runner.id"), primary_key=True),
    sa.Column("backend_id", sa.Integer, sa.ForeignKey("backend.id"), primary_key=True),
    sa.Column("account", sa.Text),  # NULL: the backend does not tell
)

job = sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("index_label", sa.Text, nullable=False),
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("pinned_backend", sa.Text),
    sa.Column("priority", sa.Float, nullable=False, server_default="0"),
    sa.Column("status", sa.Text, nullable=False, server_default="not_started"),
    sa.Column("status_since", Instant, nullable=False),
    sa.Column("change_actor", sa.Text),
    sa.Column("change_reason", ForeignText),
    sa.Column("owner_id", sa.Integer, sa.ForeignKey("runner.id")),
    sa.Column("attempt_id", sa.Integer),  # the latest; no foreign key, as `attempt.job_id` points back
    sa.Column("not_before", Instant),
    sa.Column("cancel_requested_at", Instant),
    sa.Column("needs_person_since", Instant),
    sa.Column("needs_person_reason", ForeignText),
    sa.Column("results_status", sa.Text),
    sa.Column("results_tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("results_not_before", Instant),
    sa.Column("results_error", ForeignText),
    sa.Column("user_status", sa.Text),
    sa.CheckConstraint(_words("status", *STATUS_WORDS), name="status"),
    sa.CheckConstraint(_words("results_status", *RESULTS_WORDS), name="results_status"),
    sa.CheckConstraint(_words("change_actor", "tracker", "user", "interface"), name="change_actor"),
    sa.CheckConstraint("json_valid(params) AND json_type(params) = 'array'", name="params"),
)
sa.Index(
    "ix_job_waiting",
    *(job.c.pinned_backend, job.c.priority.desc(), job.c.position),
    sqlite_where=job.c.status == "not_started",
)
sa.Index("ix_job_status", job.c.status)
sa.Index("ix_job_position", job.c.position)
sa.Index(
    "ix_job_cancel_requested_at",
    job.c.cancel_requested_at,
    sqlite_where=job.c.cancel_requested_at.is_not(None),
)

attempt = sa.Table(
    "attempt",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.Integer, sa.ForeignKey("job.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("backend_id", sa.Integer, sa.ForeignKey("backend.id"), nullable=False),
    sa.Column("account", sa.Text),
    sa.Column("chosen_id", sa.Integer),  # the batch job it chose; `batch_job.attempt_id` points back
    sa.Column("began_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("start_time", Instant),
    sa.Column("running_start_time", Instant),
    sa.Column("backend_status", ForeignText),
    sa.Column("created_seen_at", Instant),
    sa.Column("not_found_since", Instant),
    sa.Column("not_found_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error_class", sa.Text),
    sa.Column("error_message", ForeignText),
    sa.Column("error_http_status", sa.Integer),
    sa.Column("error_code", ForeignText),
    sa.Column("error_at", Instant),
    sa.Column("failure_key", ForeignText),
    sa.Column("costs", sa.Float),
    sa.Column("currency", sa.Text),
    sa.Column("usage", sa.JSON(none_as_null=True)),
    sa.Column("hook_returned_at", Instant),
    sa.Column("hook_error", ForeignText),
    sa.Column("hook_failed_runner_id", sa.Integer, sa.ForeignKey("runner.id")),
    sa.Column("hook_tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("hook_not_before", Instant),
    sa.Column("results_expire_at", Instant),
    sa.Column("costs_tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("costs_not_before", Instant),  # when they are asked for again; NULL: not any more
    sa.Column("backend_created_at", Instant),
    sa.Column("backend_queued_at", Instant),
    sa.Column("backend_started_at", Instant),
    sa.Column("backend_ended_at", Instant),
    sa.Column("cancel_tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cancel_not_before", Instant),
    sa.Column("cancel_error", ForeignText),
    sa.UniqueConstraint("job_id", "number"),
)
sa.Index("ix_attempt_ended_at", attempt.c.ended_at)
sa.Index(
    "ix_attempt_costs_not_before",
    attempt.c.costs_not_before,
    sqlite_where=attempt.c.costs_not_before.is_not(None),
)

batch_job = sa.Table(
    "batch_job",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("attempt_id", sa.Integer, sa.ForeignKey("attempt.id"), nullable=False),
    sa.Column("backend_id", sa.Integer, sa.ForeignKey("backend.id"), nullable=False),
    sa.Column("batch_job_id", sa.Text),
    sa.Column("tag", sa.Text, unique=True),
    sa.Column("fingerprint", sa.Text),
    sa.Column("sent_at", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("absent_since", Instant),
    sa.Column("start_sent_at", Instant),
    sa.Column("vain_starts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("found_at", Instant),
    sa.Column("seen_status", ForeignText),
    sa.Column("settled_as", sa.Text),
    sa.Column("settled_at", Instant),
    sa.UniqueConstraint("backend_id", "batch_job_id"),
    sa.CheckConstraint(_words("outcome", *OUTCOME_WORDS), name="outcome"),
)
sa.Index("ix_batch_job_attempt_id", batch_job.c.attempt_id)

status_change = sa.Table(
    "status_change",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.Integer, sa.ForeignKey("job.id"), nullable=False),
    sa.Column("attempt_id", sa.Integer, sa.ForeignKey("attempt.id")),
    sa.Column("at", Instant, nullable=False),
    sa.Column("old", sa.Text),
    sa.Column("new", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
)
sa.Index("ix_status_change_job_id", status_change.c.job_id)

status_transition = sa.Table(
    "status_transition",
    metadata,
    sa.Column("old", sa.Text, primary_key=True),
    sa.Column("new", sa.Text, primary_key=True),
    sa.Column("actor", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)

asset = sa.Table(
    "asset",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("attempt_id", sa.Integer, sa.ForeignKey("attempt.id"), nullable=False),
    sa.Column("name", ForeignText, nullable=False),
    sa.Column("media_type", ForeignText),
    sa.Column("size", sa.Integer),
    sa.Column("checksum", sa.Text),
    sa.Column("path", ForeignText),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("downloaded_at", Instant),
    sa.Column("announced_size", sa.Integer),
    sa.Column("announced_checksum", ForeignText),
    sa.Column("error", ForeignText),
    sa.Column("part_version", ForeignText),
    sa.Column("part_boot_id", sa.Text),
    sa.UniqueConstraint("attempt_id", "name"),
)
sa.Index("ix_asset_path", asset.c.path)
