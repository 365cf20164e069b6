"""Jobs that can be run by hand, by name: what each does, and the function that does it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import structlog
from django.utils.timezone import now

from alliantra.workspaces.models import Workspace
from reports import allocation_costs, live
from reports.health.evaluation import evaluate_health
from reports.scoring.scores import score_partners
from revenues import attribution, conversions, marks, rollups

log = structlog.get_logger(__name__)


class JobFailed(Exception):
    """The job was done and found something wrong; its text says what."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `run` takes a workspace and a day, and says what it did; it can be run again at any time."""

    summary: str
    run: Callable[[Workspace, date], str]


def run_job(name: str, workspace: Workspace, day: date) -> str:
    """What the job did, in a sentence. Raises KeyError for an unknown name, JobFailed, DomainError."""
    job = JOBS[name]
    told = {"job": name, "workspace": str(workspace.pk), "day": day.isoformat()}
    log.info("job.started", **told)
    started = time.monotonic()
    try:
        result = job.run(workspace, day)
    except Exception as error:
        log.warning("job.failed", **told, error=str(error), seconds=round(time.monotonic() - started, 3))
        raise
    log.info("job.finished", **told, result=result, seconds=round(time.monotonic() - started, 3))
    return result


def last_whole_day(workspace: Workspace) -> date:
    """Yesterday, in the workspace's zone."""
    return now().astimezone(workspace.zone).date() - timedelta(days=1)


def _score_partners(workspace: Workspace, day: date) -> str:
    done = score_partners(workspace, day=day)
    return f"{done.scored} of {done.partners} partners have a score for {day}."


def _evaluate_health(workspace: Workspace, day: date) -> str:
    done = evaluate_health(workspace, day=day)
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(done.statuses.items()))
    return f"{done.partners} partners evaluated for {day} ({statuses or 'none'}); {done.changed} changed."


def _fold_rollups(workspace: Workspace, _: date) -> str:
    moved = 0
    while folded := rollups.fold(workspace):
        moved += folded
    return f"{moved} deltas folded into the base."


def _verify_rollups(workspace: Workspace, _: date) -> str:
    found = rollups.verify(workspace)
    if found != rollups.Deviation():
        raise JobFailed(f"The rollups differ from the ledger: {found}. Mend them with rebuild_rollups.")
    return "The rollups equal the ledger."


def _rebuild_rollups(workspace: Workspace, _: date) -> str:
    rollups.rebuild(workspace)
    return "The rollups were made anew from the ledger."


def _set_ledger_marks(workspace: Workspace, _: date) -> str:
    return f"{marks.set_marks(workspace, now=now())} marks set along the ledger."


def _attribute_revenue(workspace: Workspace, _: date) -> str:
    return f"{attribution.catch_up_with_all(workspace)} tasks of attribution worked off."


def _convert_waiting(workspace: Workspace, _: date) -> str:
    return f"{conversions.convert_waiting(workspace)} events converted to the base currency."


def _refresh_costs(workspace: Workspace, _: date) -> str:
    done = allocation_costs.refresh(workspace, now=now(), at_once=True)
    state = "current" if done.is_current else "not current yet: another worker is at it"
    return f"{done.rows} daily costs of allocations written; they are {state}."


def _refresh_reports(workspace: Workspace, _: date) -> str:
    return f"{live.refresh(workspace, now=now())} of the usual reports were stale and made anew."


JOBS: Final[Mapping[str, Job]] = {
    "attribute_revenue": Job("Work out the credits of touchpoints that wait.", _attribute_revenue),
    "convert_waiting": Job("Convert events that waited for an exchange rate or their sale.", _convert_waiting),
    "evaluate_health": Job("Evaluate the health status of partners for a day, by its scores.", _evaluate_health),
    "fold_rollups": Job("Fold what ingestion appended to the rollups into their base.", _fold_rollups),
    "rebuild_rollups": Job("Make the rollups anew from the ledger.", _rebuild_rollups),
    "refresh_costs": Job("Bring what partners cost through allocations up to date.", _refresh_costs),
    "refresh_reports": Job("Bring the usual reports up to date.", _refresh_reports),
    "score_partners": Job("Score partners by the 90 days that end with a day.", _score_partners),
    "set_ledger_marks": Job("Mark places along the ledger for deep pages.", _set_ledger_marks),
    "verify_rollups": Job("Compare the rollups with the ledger; fails if they differ.", _verify_rollups),
}
"""Name → job."""
