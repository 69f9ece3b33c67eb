"""The public views, made from the campaign's columns; migrations never mention them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from openeo_jobs.jobs import Column

USAGE_COLUMNS = ("cpu", "memory", "duration")


def create_views(connection: sa.Connection, columns: Sequence[Column]) -> None:
    """Make every view anew; *columns* are the user's, in order."""
    drop_views(connection)
    for name, select in {**VIEWS, "jobs": _jobs_view(columns)}.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS\n{select}")


def drop_views(connection: sa.Connection) -> None:
    """Remove every view, so that a migration may change what they stand on."""
    names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'view'").scalars().all()
    for name in names:
        connection.exec_driver_sql(f"DROP VIEW {quote(name)}")


def quote(name: str) -> str:
    """Quote an identifier; names with quotes, spaces and dots are fine."""
    return '"' + name.replace('"', '""') + '"'


def cell(position: int) -> str:
    """Return the expression for a cell of the user: its plain value, or the text of a tagged one."""
    path = f"$[{position}]"
    return (
        f"CASE WHEN json_type(job.params, '{path}.\"$\"') IS NULL "
        f"THEN json_extract(job.params, '{path}') ELSE json_extract(job.params, '{path}.text') END"
    )


def _usage_text(field: str) -> str:
    value, unit = (f"json_extract(attempt.usage, '$.{field}.{part}')" for part in ("value", "unit"))
    return f"trim({value} || ' ' || coalesce({unit}, '')) AS {field}"


def _usage_numbers(field: str) -> str:
    value, unit = (f"json_extract(attempt.usage, '$.{field}.{part}')" for part in ("value", "unit"))
    return f"{value} AS {field}, {unit} AS {field}_unit"


def _jobs_view(columns: Sequence[Column]) -> str:
    users = "".join(f"  {cell(i)} AS {quote(column.name)},\n" for i, column in enumerate(columns))
    usage = ",\n  ".join(_usage_text(field) for field in USAGE_COLUMNS)
    return f"""SELECT
  job.id AS job,
{users}  batch_job.batch_job_id AS id,
  coalesce(backend.name, job.pinned_backend) AS backend_name,
  job.status AS status,
  attempt.start_time AS start_time,
  attempt.running_start_time AS running_start_time,
  {usage},
  attempt.costs AS costs,
  job.user_status AS user_status,
  job.results_status AS results_status
FROM job
LEFT JOIN attempt ON attempt.id = job.attempt_id
LEFT JOIN batch_job ON batch_job.id = attempt.chosen_id
LEFT JOIN backend ON backend.id = attempt.backend_id"""


VIEWS = {
    "attempts": f"""SELECT
  attempt.job_id AS job, attempt.number AS attempt, backend.name AS backend_name,
  attempt.account AS account, batch_job.batch_job_id AS id,
  attempt.began_at AS began_at, attempt.start_time AS start_time,
  attempt.running_start_time AS running_start_time, attempt.ended_at AS ended_at,
  attempt.backend_status AS backend_status, attempt.error_class AS error_class,
  attempt.error_message AS error_message, attempt.error_http_status AS error_http_status,
  attempt.error_code AS error_code, attempt.error_at AS error_at, attempt.costs AS costs,
  attempt.currency AS currency, {", ".join(_usage_numbers(field) for field in USAGE_COLUMNS)},
  attempt.usage AS usage, attempt.backend_created_at AS backend_created_at,
  attempt.backend_queued_at AS backend_queued_at, attempt.backend_started_at AS backend_started_at,
  attempt.backend_ended_at AS backend_ended_at, attempt.cancel_error AS cancel_error,
  attempt.hook_returned_at AS hook_returned_at,
  attempt.hook_tries AS hook_tries, attempt.hook_error AS hook_error
FROM attempt
JOIN backend ON backend.id = attempt.backend_id
LEFT JOIN batch_job ON batch_job.id = attempt.chosen_id""",
    "batch_jobs": """SELECT
  attempt.job_id AS job, attempt.number AS attempt, backend.name AS backend_name,
  batch_job.batch_job_id AS id, batch_job.tag AS tag, batch_job.sent_at AS sent_at,
  batch_job.ended_at AS ended_at, batch_job.outcome AS outcome,
  batch_job.start_sent_at AS start_sent_at,
  EXISTS (SELECT 1 FROM attempt AS other WHERE other.chosen_id = batch_job.id) AS chosen,
  batch_job.found_at AS found_at, batch_job.seen_status AS seen_status,
  batch_job.settled_as AS settled_as, batch_job.settled_at AS settled_at
FROM batch_job
JOIN attempt ON attempt.id = batch_job.attempt_id
JOIN backend ON backend.id = batch_job.backend_id""",
    "status_changes": """SELECT
  status_change.job_id AS job, attempt.number AS attempt, status_change.at AS at,
  status_change.old AS old, status_change.new AS new, status_change.actor AS actor,
  status_change.reason AS reason
FROM status_change
LEFT JOIN attempt ON attempt.id = status_change.attempt_id
ORDER BY status_change.id""",
    "assets": """SELECT
  attempt.job_id AS job, attempt.number AS attempt, asset.name AS name, asset.media_type AS media_type,
  asset.size AS size, asset.checksum AS checksum, asset.path AS path, asset.state AS state,
  asset.downloaded_at AS downloaded_at, asset.error AS error
FROM asset
JOIN attempt ON attempt.id = asset.attempt_id""",
    "costs": """SELECT
  backend.name AS backend_name,
  CASE WHEN attempt.costs IS NULL THEN backend.currency ELSE attempt.currency END AS currency,
  count(*) AS attempts, count(DISTINCT attempt.job_id) AS rows, sum(attempt.costs) AS costs,
  sum(CASE WHEN attempt.error_class IS NOT NULL THEN attempt.costs END) AS costs_of_failed_attempts,
  coalesce(sum(attempt.costs IS NULL AND attempt.ended_at IS NOT NULL AND attempt.chosen_id IS NOT NULL
    AND attempt.backend_status IN ('finished', 'error', 'canceled')), 0) AS attempts_without_costs
FROM attempt
JOIN backend ON backend.id = attempt.backend_id
GROUP BY 1, 2""",
    "failures": """SELECT
  attempt.failure_key AS message, attempt.error_class AS error_class, count(*) AS rows,
  group_concat(DISTINCT backend.name) AS backend_names, min(attempt.error_at) AS first_at,
  max(attempt.error_at) AS last_at, min(job.id) AS first_job,
  CASE WHEN count(DISTINCT attempt.currency) < 2 THEN sum(attempt.costs) END AS costs
FROM job
JOIN attempt ON attempt.id = job.attempt_id
JOIN backend ON backend.id = attempt.backend_id
WHERE job.status IN ('error', 'start_failed', 'lost')
GROUP BY attempt.failure_key, attempt.error_class
ORDER BY count(*) DESC, min(job.id)""",
}
