"""The job that evaluates the health status of the partners of a workspace by what is known of one day."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog
from django.db.models import Max

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from partners.models import Partner, PartnerScore
from partners.services.health import EvaluatedPartner, record_evaluations
from reports.health.model import Model
from reports.health.outlook import outlook_of
from reports.health.prior import PRIOR
from reports.health.series import Series, read_series
from reports.health.thresholds import Thresholds, thresholds_of
from reports.health.training import refit
from reports.health.verdicts import Facts, judge
from reports.scoring.factors import Figures, growth, median, roi
from reports.scoring.figures import NOTHING, History, read_costs, read_figures, read_histories
from reports.scoring.scores import chunks

log = structlog.get_logger(__name__)
CHUNK: Final = 200
"""Partners written in one transaction: what a kill in the middle leaves to the next run."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How many partners were evaluated, how many now have another status, and to which statuses they amount."""

    partners: int
    changed: int
    statuses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that is known of the partners of a workspace at the end of a day, by partner."""

    day: date
    histories: Mapping[UUID, History]
    figures: Mapping[UUID, Figures]
    returns: Mapping[UUID, Decimal]
    median_roi: Decimal | None
    scores: Mapping[UUID, Decimal]
    peaks: Mapping[UUID, Decimal]
    series: Mapping[UUID, Series]
    model: Model

    def facts_of(self, partner: UUID, created_on: date) -> Facts:
        """Facts of one partner."""
        history, figures = self.histories.get(partner), self.figures.get(partner)
        first = min(created_on, history.first_event) if history else created_on
        last = history.last_revenue if history else None
        series = self.series.get(partner)
        return Facts(
            age=(self.day - first).days,
            days_since_revenue=None if last is None else (self.day - last).days,
            outlook=None if series is None else outlook_of(series.values, self.model, series.latest),
            score=self.scores.get(partner),
            peak=self.peaks.get(partner),
            roi=self.returns.get(partner),
            median_roi=self.median_roi,
            growth=None if figures is None else growth(figures.revenue, figures.revenue_before),
        )


def evaluate_health(workspace: Workspace, *, day: date) -> Evaluated:
    """Evaluate every partner by the days up to `day`, in the workspace's zone, and change what two in a row agree on.

    The scores of the day must be there. Doing it again replaces what was written for that day; nothing is announced
    twice. Raises Invalid for thresholds that are none.
    """
    started = time.monotonic()
    thresholds = thresholds_of(workspace.settings)
    known = learn(workspace, day, thresholds)
    partners = Partner.objects.in_workspace(workspace).order_by("pk").values_list("pk", "created_at")
    statuses: Counter[str] = Counter()
    changed = 0
    for some in chunks(list(partners), CHUNK):
        rows = [_evaluated(known, thresholds, partner, created_at, workspace) for partner, created_at in some]
        changed += record_evaluations(rows, actor=Actor.system(workspace), day=day)
        statuses.update(row.status for row in rows)
    result = Evaluated(statuses.total(), changed, dict(statuses))
    log.info(
        "partners.evaluated",
        workspace=str(workspace.pk),
        day=day.isoformat(),
        partners=result.partners,
        changed=changed,
        statuses=result.statuses,
        refitted_to=known.model.examples,
        seconds=round(time.monotonic() - started, 3),
    )
    return result


def learn(workspace: Workspace, day: date, thresholds: Thresholds) -> Knowledge:
    """Read what is known, set by set, and fit the model to it."""
    costs = read_costs(workspace, day)
    figures = read_figures(workspace, day, costs)
    histories = read_histories(workspace, day)
    returns = {
        partner: ratio
        for partner, cost in costs.items()
        if (ratio := roi(figures[partner].revenue if partner in figures else NOTHING, cost)) is not None
    }
    series = read_series(workspace, day, histories)
    scores = PartnerScore.objects.in_workspace(workspace)
    before = (day - timedelta(days=thresholds.score_fall_days), day - timedelta(days=1))
    return Knowledge(
        day=day,
        histories=histories,
        figures=figures,
        returns=returns,
        median_roi=median(list(returns.values())) if returns else None,
        scores=dict(scores.filter(day=day).values_list("partner_id", "score")),
        peaks=dict(scores.filter(day__range=before).values_list("partner_id").annotate(Max("score"))),
        series=series,
        model=refit(PRIOR, [series[partner].values for partner in sorted(series)]),
    )


def _evaluated(
    known: Knowledge, thresholds: Thresholds, partner: UUID, created_at: datetime, workspace: Workspace
) -> EvaluatedPartner:
    facts = known.facts_of(partner, created_at.astimezone(workspace.zone).date())
    verdict = judge(facts, thresholds)
    return EvaluatedPartner(partner, verdict.status.value, verdict.evidence)
