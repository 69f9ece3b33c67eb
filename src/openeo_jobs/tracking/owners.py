"""Sharing a campaign with other runs: what nobody acts on is taken by exactly one of them."""

from __future__ import annotations

from openeo_jobs.jobs import Runner
from openeo_jobs.policy.returning import describe_news
from openeo_jobs.tracking import accounts
from openeo_jobs.tracking.run import Run, log, say_length


def share(run: Run) -> None:
    """Say that this run is there, and notice who is not any more."""
    if not run.presence.record_round():
        run.presence.begin()
        run.presence.record_round()
        log.warning("this run was taken for dead, and its rows were taken over; it goes on with what is left")
    presence = run.presence
    for runner in run.store.runners.bury(run.runner_id, is_dead=presence.is_dead, at=run.now()):
        log.warning("%s is not there any more; its rows are taken over", describe(runner))
        run.has_checked_files = False
    for runner in run.store.runners.open():
        if runner.id != run.runner_id and _is_doubtful(run, runner):
            run.log_once(
                ("doubtful", runner.uuid),
                "%s was last heard of %s ago; its rows are taken over if it is not heard of in %s",
                *(describe(runner), say_length(run.now() - runner.heartbeat_at), say_length(runner.lease)),
            )


def take_over(run: Run) -> None:
    """Take over what nobody acts on, and what the logins of this run can reach: these are known by now."""
    taken = run.store.owners.take_over(run.runner_id, list(run.caps), at=run.now())
    if taken:
        run.stats["rows taken over"] += taken
        log.info("%d rows on which nobody acted are tracked by this run", taken)
    accounts.tell(run)


def find_others(run: Run) -> list[Runner]:
    """Return the other runs of the campaign that are alive."""
    others = [one for one in run.store.runners.open() if one.id != run.runner_id]
    return [one for one in others if not run.presence.is_dead(one) and not _is_doubtful(run, one)]


def _is_doubtful(run: Run, runner: Runner) -> bool:
    """Say whether a runner seems dead by the times in the database, and was not heard of yet by this run."""
    return run.now() - runner.heartbeat_at > runner.lease and not run.presence.listener.has_heard(runner)


def describe(runner: Runner) -> str:
    """Say which process a runner is."""
    return f"{runner.command} (pid {runner.pid} on {runner.host})"


def return_from_gap(run: Run) -> bool:
    """Notice whether this run comes back from a gap; then it asks every backend before time counts."""
    run.notice_gap()
    run.heard.clear()
    return bool(run.unheard)


def conclude_return(run: Run) -> None:
    """Let time count for the backends that have answered, and tell of the gap once."""
    run.unheard -= run.heard
    if run.gap is not None:
        news = describe_news(run.store.news.count_since(run.news_mark))
        log.warning("back after %s: %s", say_length(run.gap.until - run.gap.since), news)
        run.gap = None
