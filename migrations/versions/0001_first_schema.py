"""The first schema: tables, triggers, and the graph of changes of status.

Values are spelled out: a released migration is never edited, and imports nothing of openeo_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INSTANT = sa.Text  # UTC, ISO-8601 with Z, milliseconds


def upgrade() -> None:
    for create in (
        create_campaign,
        create_backend,
        create_runner,
        create_job,
        create_attempt,
        create_batch_job,
        create_status_change,
        create_status_transition,
        create_asset,
    ):
        create()
    for trigger in TRIGGERS:
        op.execute(trigger)
    op.bulk_insert(
        sa.table("status_transition", sa.column("old"), sa.column("new"), sa.column("actor")),
        [{"old": old, "new": new, "actor": actor} for old, new, actor in transitions()],
    )


def create_campaign() -> None:
    op.create_table(
        "campaign",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("columns", sa.JSON, nullable=False),
        sa.Column("index_column", sa.JSON, nullable=False),
        sa.Column("geometry", sa.Text),
        sa.Column("mirrors", sa.JSON, nullable=False),
        sa.Column("taken_over_from", sa.Text),
        sa.Column("edition", sa.Integer, server_default="0", nullable=False),
        sa.CheckConstraint("id = 1", name="ck_campaign_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_campaign"),
    )


def create_backend() -> None:
    op.create_table(
        "backend",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("account", sa.Text),
        sa.Column("currency", sa.Text),
        sa.Column("parallel_jobs", sa.Integer, nullable=False),
        sa.Column("learned_cap", sa.Integer),
        sa.Column("keeps_titles", sa.Boolean),
        sa.Column("paused_class", sa.Text),
        sa.Column("paused_reason", sa.Text),
        sa.Column("paused_since", INSTANT),
        sa.Column("retry_at", INSTANT),
        sa.CheckConstraint("parallel_jobs >= 0", name="ck_backend_parallel_jobs"),
        sa.PrimaryKeyConstraint("id", name="pk_backend"),
        sa.UniqueConstraint("name", name="uq_backend_name"),
    )


def create_runner() -> None:
    op.create_table(
        "runner",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("boot_id", sa.Text, nullable=False),
        sa.Column("pid_namespace", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_started_at", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("heartbeat_at", INSTANT, nullable=False),
        sa.Column("last_round_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_runner"),
        sa.UniqueConstraint("uuid", name="uq_runner_uuid"),
    )


def create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("index_label", sa.Text, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("pinned_backend", sa.Text),
        sa.Column("priority", sa.Float, server_default="0", nullable=False),
        sa.Column("status", sa.Text, server_default="not_started", nullable=False),
        sa.Column("status_since", INSTANT, nullable=False),
        sa.Column("change_actor", sa.Text),
        sa.Column("change_reason", sa.Text),
        sa.Column("owner_id", sa.Integer),
        sa.Column("attempt_id", sa.Integer),
        sa.Column("not_before", INSTANT),
        sa.Column("cancel_requested_at", INSTANT),
        sa.Column("needs_person_since", INSTANT),
        sa.Column("needs_person_reason", sa.Text),
        sa.Column("results_status", sa.Text),
        sa.Column("results_tries", sa.Integer, server_default="0", nullable=False),
        sa.Column("results_not_before", INSTANT),
        sa.Column("results_error", sa.Text),
        sa.Column("user_status", sa.Text),
        sa.CheckConstraint("change_actor IN ('tracker', 'user', 'interface')", name="ck_job_change_actor"),
        sa.CheckConstraint("json_valid(params) AND json_type(params) = 'array'", name="ck_job_params"),
        sa.CheckConstraint(
            "results_status IN ('pending', 'downloading', 'downloaded', 'failed', 'not_wanted')",
            name="ck_job_results_status",
        ),
        sa.CheckConstraint(
            "status IN ('not_started', 'submitting', 'created', 'queued_for_start', 'queued', 'running', "
            "'finished', 'error', 'canceled', 'skipped', 'start_failed', 'lost')",
            name="ck_job_status",
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["runner.id"], name="fk_job_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_position", "job", ["position"], unique=False)
    op.create_index("ix_job_status", "job", ["status"], unique=False)
    op.create_index(
        "ix_job_waiting",
        "job",
        ["pinned_backend", sa.literal_column("priority DESC"), "position"],
        unique=False,
        sqlite_where=sa.text("status = 'not_started'"),
    )


def create_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("job_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("backend_id", sa.Integer, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("chosen_id", sa.Integer),
        sa.Column("began_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.Column("start_time", INSTANT),
        sa.Column("running_start_time", INSTANT),
        sa.Column("backend_status", sa.Text),
        sa.Column("created_seen_at", INSTANT),
        sa.Column("not_found_since", INSTANT),
        sa.Column("not_found_count", sa.Integer, server_default="0", nullable=False),
        sa.Column("error_class", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("error_http_status", sa.Integer),
        sa.Column("error_code", sa.Text),
        sa.Column("error_at", INSTANT),
        sa.Column("failure_key", sa.Text),
        sa.Column("costs", sa.Float),
        sa.Column("currency", sa.Text),
        sa.Column("usage", sa.JSON(none_as_null=True)),
        sa.Column("hook_returned_at", INSTANT),
        sa.Column("hook_error", sa.Text),
        sa.Column("hook_failed_runner_id", sa.Integer),
        sa.ForeignKeyConstraint(["backend_id"], ["backend.id"], name="fk_attempt_backend_id"),
        sa.ForeignKeyConstraint(
            ["hook_failed_runner_id"], ["runner.id"], name="fk_attempt_hook_failed_runner_id"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_attempt_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
        sa.UniqueConstraint("job_id", "number", name="uq_attempt_job_id_number"),
    )


def create_batch_job() -> None:
    op.create_table(
        "batch_job",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("attempt_id", sa.Integer, nullable=False),
        sa.Column("backend_id", sa.Integer, nullable=False),
        sa.Column("batch_job_id", sa.Text),
        sa.Column("tag", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("sent_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("absent_since", INSTANT),
        sa.Column("start_sent_at", INSTANT),
        sa.CheckConstraint(
            "outcome IN ('unknown', 'created', 'not_created', 'adopted', 'returned', 'copy')",
            name="ck_batch_job_outcome",
        ),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name="fk_batch_job_attempt_id"),
        sa.ForeignKeyConstraint(["backend_id"], ["backend.id"], name="fk_batch_job_backend_id"),
        sa.PrimaryKeyConstraint("id", name="pk_batch_job"),
        sa.UniqueConstraint("backend_id", "batch_job_id", name="uq_batch_job_backend_id_batch_job_id"),
        sa.UniqueConstraint("tag", name="uq_batch_job_tag"),
    )
    op.create_index("ix_batch_job_attempt_id", "batch_job", ["attempt_id"], unique=False)


def create_status_change() -> None:
    op.create_table(
        "status_change",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("job_id", sa.Integer, nullable=False),
        sa.Column("attempt_id", sa.Integer),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("old", sa.Text),
        sa.Column("new", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name="fk_status_change_attempt_id"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_status_change_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_status_change"),
    )
    op.create_index("ix_status_change_job_id", "status_change", ["job_id"], unique=False)


def create_status_transition() -> None:
    op.create_table(
        "status_transition",
        sa.Column("old", sa.Text, nullable=False),
        sa.Column("new", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("old", "new", "actor", name="pk_status_transition"),
        sqlite_with_rowid=False,
    )


def create_asset() -> None:
    op.create_table(
        "asset",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("attempt_id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text),
        sa.Column("size", sa.Integer),
        sa.Column("checksum", sa.Text),
        sa.Column("path", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("downloaded_at", INSTANT),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name="fk_asset_attempt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_asset"),
        sa.UniqueConstraint("attempt_id", "name", name="uq_asset_attempt_id_name"),
    )


STATUSES = (
    "not_started",
    "submitting",
    "created",
    "queued_for_start",
    "queued",
    "running",
    "finished",
    "error",
    "canceled",
    "skipped",
    "start_failed",
    "lost",
)
BY_THE_TRACKER = {
    "not_started": "submitting skipped start_failed",
    "submitting": "not_started created queued_for_start queued running finished error canceled "
    "skipped start_failed",
    "created": "queued_for_start queued running finished error canceled start_failed lost",
    "queued_for_start": "created queued running finished error canceled start_failed lost",
    "queued": "created running finished error canceled lost",
    "running": "created queued finished error canceled lost",
    "finished": "error canceled",
    "error": "not_started finished canceled",
    "canceled": "finished error",
    "skipped": "",
    "start_failed": "not_started",
    "lost": "created queued running finished error canceled",
}
ONLY_BY_A_USER = {
    "not_started": "canceled",
    "lost": "not_started",
    "finished": "not_started queued running",
    "error": "queued running",
    "canceled": "not_started queued running",
    "skipped": "not_started",
}


def transitions() -> list[tuple[str, str, str]]:
    tracker = [(old, new) for old, news in BY_THE_TRACKER.items() for new in news.split()]
    starred = [(old, new) for old, news in ONLY_BY_A_USER.items() for new in news.split()]
    every = [(old, new) for old in STATUSES for new in STATUSES if old != new]
    by_actor = {"tracker": tracker, "user": tracker + starred, "interface": every}
    return [(old, new, actor) for actor, pairs in by_actor.items() for old, new in pairs]


TRIGGERS = (
    """CREATE TRIGGER job_status_guard BEFORE UPDATE OF status ON job
WHEN NEW.status IS NOT OLD.status AND NOT EXISTS (
  SELECT 1 FROM status_transition
  WHERE old = OLD.status AND new = NEW.status AND actor = coalesce(NEW.change_actor, 'user')
)
BEGIN
  SELECT RAISE(ABORT, 'this change of status is not allowed; table status_transition lists those that are');
END""",
    """CREATE TRIGGER job_status_history AFTER UPDATE OF status ON job
WHEN NEW.status <> OLD.status
BEGIN
  INSERT INTO status_change (job_id, attempt_id, at, old, new, actor, reason)
  VALUES (
    NEW.id, NEW.attempt_id,
    CASE WHEN NEW.change_actor IS NULL THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') ELSE NEW.status_since END,
    OLD.status, NEW.status, coalesce(NEW.change_actor, 'user'), NEW.change_reason
  );
  UPDATE job SET status_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  WHERE id = NEW.id AND NEW.change_actor IS NULL;
END""",
    """CREATE TRIGGER job_change_forgotten AFTER UPDATE ON job
WHEN NEW.change_actor IS NOT NULL OR NEW.change_reason IS NOT NULL
BEGIN
  UPDATE job SET change_actor = NULL, change_reason = NULL WHERE id = NEW.id;
END""",
    """CREATE TRIGGER job_in_line_again AFTER UPDATE OF status ON job
WHEN NEW.status = 'not_started' AND OLD.status <> 'not_started'
BEGIN
  UPDATE job SET
    attempt_id = NULL, owner_id = NULL, cancel_requested_at = NULL, needs_person_since = NULL,
    needs_person_reason = NULL, results_status = NULL, results_tries = 0, results_not_before = NULL,
    results_error = NULL, user_status = NULL
  WHERE id = NEW.id;
END""",
    """CREATE TRIGGER job_first_status AFTER INSERT ON job
WHEN NEW.status <> 'not_started'
BEGIN
  INSERT INTO status_change (job_id, attempt_id, at, old, new, actor, reason)
  VALUES (
    NEW.id, NEW.attempt_id, NEW.status_since, NULL, NEW.status,
    coalesce(NEW.change_actor, 'user'), NEW.change_reason
  );
  UPDATE job SET change_actor = NULL, change_reason = NULL WHERE id = NEW.id;
END""",
    """CREATE TRIGGER job_kept BEFORE DELETE ON job
BEGIN
  SELECT RAISE(ABORT, 'a row of a campaign is never deleted; cancel it');
END""",
    """CREATE TRIGGER job_not_replaced BEFORE INSERT ON job
WHEN EXISTS (SELECT 1 FROM job WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'a row of a campaign is never replaced');
END""",
    """CREATE TRIGGER job_number_kept BEFORE UPDATE ON job
WHEN NEW.id IS NOT OLD.id
BEGIN
  SELECT RAISE(ABORT, 'a row of a campaign keeps its number');
END""",
    """CREATE TRIGGER attempt_kept BEFORE DELETE ON attempt
BEGIN
  SELECT RAISE(ABORT, 'an attempt is never forgotten');
END""",
    """CREATE TRIGGER attempt_not_replaced BEFORE INSERT ON attempt
WHEN EXISTS (SELECT 1 FROM attempt WHERE id = NEW.id OR (job_id = NEW.job_id AND number = NEW.number))
BEGIN
  SELECT RAISE(ABORT, 'an attempt is never forgotten');
END""",
    """CREATE TRIGGER attempt_number_kept BEFORE UPDATE ON attempt
WHEN NEW.id IS NOT OLD.id OR NEW.job_id IS NOT OLD.job_id OR NEW.number IS NOT OLD.number
BEGIN
  SELECT RAISE(ABORT, 'an attempt keeps its row and its number');
END""",
    """CREATE TRIGGER status_change_kept BEFORE DELETE ON status_change
BEGIN
  SELECT RAISE(ABORT, 'the history cannot be altered');
END""",
    """CREATE TRIGGER status_change_unaltered BEFORE UPDATE ON status_change
BEGIN
  SELECT RAISE(ABORT, 'the history cannot be altered');
END""",
    """CREATE TRIGGER status_change_not_replaced BEFORE INSERT ON status_change
WHEN EXISTS (SELECT 1 FROM status_change WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'the history cannot be altered');
END""",
    """CREATE TRIGGER status_change_true BEFORE INSERT ON status_change
WHEN NEW.new IS coalesce(NEW.old, 'not_started')
  OR NOT EXISTS (SELECT 1 FROM job WHERE id = NEW.job_id AND status = NEW.new)
  OR coalesce(NEW.old, 'not_started') IS NOT coalesce(
    (SELECT new FROM status_change WHERE job_id = NEW.job_id ORDER BY id DESC LIMIT 1), 'not_started'
  )
BEGIN
  SELECT RAISE(ABORT, 'the history is written by the database alone');
END""",
    """CREATE TRIGGER batch_job_id_write_once BEFORE UPDATE OF batch_job_id ON batch_job
WHEN OLD.batch_job_id IS NOT NULL AND NEW.batch_job_id IS NOT OLD.batch_job_id
BEGIN
  SELECT RAISE(ABORT, 'the id of a batch job is written once');
END""",
    """CREATE TRIGGER batch_job_kept BEFORE DELETE ON batch_job
BEGIN
  SELECT RAISE(ABORT, 'a batch job is never forgotten');
END""",
    """CREATE TRIGGER batch_job_not_replaced BEFORE INSERT ON batch_job
WHEN EXISTS (
  SELECT 1 FROM batch_job
  WHERE id = NEW.id OR tag = NEW.tag OR (backend_id = NEW.backend_id AND batch_job_id = NEW.batch_job_id)
)
BEGIN
  SELECT RAISE(ABORT, 'a batch job is never forgotten');
END""",
    """CREATE TRIGGER batch_job_not_overwritten BEFORE UPDATE ON batch_job
WHEN NEW.id IS NOT OLD.id OR EXISTS (
  SELECT 1 FROM batch_job
  WHERE id <> OLD.id
    AND (tag = NEW.tag OR (backend_id = NEW.backend_id AND batch_job_id = NEW.batch_job_id))
)
BEGIN
  SELECT RAISE(ABORT, 'a batch job is never forgotten');
END""",
)
