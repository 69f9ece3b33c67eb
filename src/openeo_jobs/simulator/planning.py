"""How long a batch job waits and runs, and whether it fails: drawn from a seed, its title and its process.

Never from the order in which requests arrive: the same campaign meets the same fate, however many threads
submit it. Running out of memory is a property of the row; other failures are of the attempt, and pass.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from openeo_jobs.simulator.lifecycle import Execution, Problem
from openeo_jobs.simulator.tags import strip_tag
from openeo_jobs.simulator.validation import find_problems

OUT_OF_MEMORY = Problem(
    code="OutOfMemory",
    message="Your batch job failed because workers used too much Python memory. The same task was attempted "
    "multiple times. Consider increasing executor-memoryOverhead or contact the developers to investigate.",
)
STAGE_FAILURE = Problem(
    code="StageFailure",
    message="Stage error: Job aborted due to stage failure: Task 3 in stage 12 failed 4 times",
    level="info",
)
ENOUGH_MEMORY = 4 * 1024**3

_FOR_EVER = timedelta(days=36_500)
_CORRECTION = timedelta(seconds=0.25)

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Which share of the batch jobs fails, or does not end as it should, from 0 to 1.

    - `out_of_memory`: of the rows; each fails in every attempt, until the job option
      `executor-memoryOverhead` is at least 4G. Its logs say so, with level `error`.
    - `stage_failure`: of the attempts; the next one of the same row may come through. Its logs have no entry
      of level `error`.
    - `endless`: of the rows; their batch jobs stay `running` until they are stopped.
    - `vanished`: of the rows; their batch jobs are unknown (404) from half of their running time on.
    - `corrected`: of the rows; for 0.25 s after the end, `canceled` is told for `finished`, and `finished`
      for `error`.
    """

    out_of_memory: float = 0.0
    stage_failure: float = 0.0
    endless: float = 0.0
    vanished: float = 0.0
    corrected: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """How a backend treats its batch jobs: the seed, ranges of seconds, and what fails."""

    seed: int
    queue_seconds: tuple[float, float]
    run_seconds: tuple[float, float]
    failures: Failures


def make_key(body: Mapping[str, Any]) -> str:
    """Make the key that all attempts share: of the title without its tag, and the process."""
    process = json.dumps(body.get("process"), sort_keys=True, default=str)
    return hashlib.sha256(f"{strip_tag(str(body.get('title')))}\n{process}".encode()).hexdigest()[:16]


def plan_execution(
    body: Mapping[str, Any], *, treatment: Treatment, attempt: int, now: datetime
) -> Execution:
    """Decide what becomes of a batch job that is started *now*; *attempt* counts the starts of its key."""
    key = make_key(body)
    times = random.Random(f"{treatment.seed}:{key}:{attempt}")
    running_at = now + timedelta(seconds=times.uniform(*treatment.queue_seconds))
    length = timedelta(seconds=times.uniform(*treatment.run_seconds))
    failures, row = treatment.failures, f"{treatment.seed}:{key}"
    ends_at = running_at + (_FOR_EVER if draw(f"{row}:endless") < failures.endless else length)
    return Execution(
        key=key,
        queued_at=now,
        running_at=running_at,
        ends_at=ends_at,
        vanishes_at=running_at + length / 2 if draw(f"{row}:vanished") < failures.vanished else None,
        corrected_at=ends_at + _CORRECTION if draw(f"{row}:corrected") < failures.corrected else None,
        failure=_plan_failure(body, treatment=treatment, key=key, attempt=attempt),
    )


def draw(seed: str) -> float:
    """Draw a number from 0 to 1, always the same for the same *seed*."""
    return random.Random(seed).random()


def read_memory(size: object) -> float:
    """Read a memory size such as `4G`, `4096m` or a number of bytes; 0 where it makes no sense."""
    match = _SIZE.fullmatch(str(size))
    return float(match[1]) * _FACTORS[match[2].lower()] if match else 0.0


def _plan_failure(body: Mapping[str, Any], *, treatment: Treatment, key: str, attempt: int) -> Problem | None:
    if problems := find_problems(body["process"]):
        return problems[0]
    if draw(f"{treatment.seed}:{key}:memory") < treatment.failures.out_of_memory and not _has_memory(body):
        return OUT_OF_MEMORY
    if draw(f"{treatment.seed}:{key}:{attempt}:stage") < treatment.failures.stage_failure:
        return STAGE_FAILURE
    return None


def _has_memory(body: Mapping[str, Any]) -> bool:
    options = body.get("job_options")
    asked = {**body, **options} if isinstance(options, Mapping) else body
    return read_memory(asked.get("executor-memoryOverhead", "")) >= ENOUGH_MEMORY
