"""Which days of which workspaces are still to be scored and evaluated: what a crash left behind is found here too."""

from datetime import date, datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef

from alliantra.workspaces.models import Workspace
from alliantra.workspaces.turns import in_turn
from partners.models import Partner, StatusEvaluation
from reports.health.evaluation import evaluate_health
from reports.scoring.scores import score_partners

READY_HOUR: Final = 2
"""Hour of the local clock from which the day before is judged: late events of its evening have come in."""
DAYS_BACK: Final = 3
"""Days that are made up for, the latest included; older ones stay without an evaluation."""


def sweep(*, now: datetime) -> int:
    """Score and evaluate every day that is due, in order; how many days of workspaces that were.

    A workspace that fails does not keep the others waiting; it is due again the next time.
    """

    def judge_due_days(workspace: Workspace) -> int:
        days = due_days(workspace, now)
        for day in days:
            score_partners(workspace, day=day)
            evaluate_health(workspace, day=day)
        return len(days)

    return sum(in_turn(Workspace.objects.order_by("pk"), judge_due_days).values())


def due_days(workspace: Workspace, now: datetime) -> list[date]:
    """Days over by now, the oldest first, at whose end there were partners that are not evaluated for it."""
    last = latest_day(workspace, now)
    days = [last - timedelta(days=back) for back in reversed(range(DAYS_BACK))]
    return [day for day in days if _is_due(workspace, day)]


def latest_day(workspace: Workspace, now: datetime) -> date:
    """The last day that can be judged: yesterday, before READY_HOUR on the local clock the day before."""
    local = now.astimezone(workspace.zone)
    return local.date() - timedelta(days=1 if local.hour >= READY_HOUR else 2)


def _is_due(workspace: Workspace, day: date) -> bool:
    evaluations = StatusEvaluation.objects.filter(workspace=workspace, partner=OuterRef("pk"), day=day)
    there = Partner.objects.in_workspace(workspace).filter(created_at__lt=workspace.day_start(day + timedelta(days=1)))
    return there.filter(~Exists(evaluations)).exists()
