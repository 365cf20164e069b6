"""What scores and health statuses are worked out from, read set by set: a query per need, not per partner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Max, Min, Q, Sum
from django.db.models.functions import Coalesce

from alliantra.workspaces.models import Workspace
from partners.models import CostDay
from reports.scoring.factors import SCORED_DAYS, WEEKS, Figures
from revenues.models import RevenueRollup, RevenueType

NOTHING: Final = Decimal(0)
_IS_REVENUE: Final = Q(type__isnull=False)


@dataclass(frozen=True, slots=True)
class History:
    """Days on which a partner had its first event, its first revenue event and its latest one, up to some day."""

    first_event: date
    first_revenue: date | None
    last_revenue: date | None


def read_histories(workspace: Workspace, day: date) -> dict[UUID, History]:
    """Histories of the partners that had any event up to `day`, in the workspace's zone."""
    rows = (
        RevenueRollup.objects.in_workspace(workspace)
        .filter(partner__isnull=False, day__lte=day)
        .values("partner_id")
        .annotate(
            first_event=Min("day"),
            first_revenue=Min("day", filter=_IS_REVENUE),
            last_revenue=Max("day", filter=_IS_REVENUE),
        )
    )
    return {row["partner_id"]: History(row["first_event"], row["first_revenue"], row["last_revenue"]) for row in rows}


def read_figures(workspace: Workspace, day: date, costs: Mapping[UUID, Decimal]) -> dict[UUID, Figures]:
    """Figures of the partners that had a revenue event in the SCORED_DAYS ending at `day`; `costs` as read_costs."""
    latest = day - timedelta(days=SCORED_DAYS - 1)
    rows = (
        RevenueRollup.objects.in_workspace(workspace)
        .filter(_IS_REVENUE, partner__isnull=False, day__range=(latest - timedelta(days=SCORED_DAYS), day))
        .values("partner_id")
        .annotate(
            revenue=_amount(latest, day),
            before=_amount(latest - timedelta(days=SCORED_DAYS), latest - timedelta(days=1)),
            sales=_amount(latest, day, type=RevenueType.SALE),
            refunds=_amount(latest, day, type=RevenueType.REFUND),
            last_day=Max("day"),
            **{name: _amount(*days) for name, days in _weeks(day).items()},
        )
    )
    return {row["partner_id"]: _figures(row, costs, day) for row in rows if (day - row["last_day"]).days < SCORED_DAYS}


def read_costs(workspace: Workspace, day: date) -> dict[UUID, Decimal]:
    """What partners cost in the SCORED_DAYS ending at `day`, allocations and recorded costs."""
    days = (day - timedelta(days=SCORED_DAYS - 1), day)
    rows = CostDay.objects.in_workspace(workspace).filter(day__range=days).values_list("partner_id")
    return dict(rows.annotate(Sum("base_amount")))


def _figures(row: Mapping[str, Any], costs: Mapping[UUID, Decimal], day: date) -> Figures:
    weeks: Sequence[Decimal] = [row[name] for name in _weeks(day)]
    since = (day - row["last_day"]).days
    cost = costs.get(row["partner_id"], NOTHING)
    return Figures(row["revenue"], row["before"], row["sales"], row["refunds"], cost, weeks, since)


def _weeks(day: date) -> dict[str, tuple[date, date]]:
    """Name → first and last day of each of the WEEKS blocks of seven days ending at `day`, the oldest first."""
    ends = [day - timedelta(weeks=back) for back in reversed(range(WEEKS))]
    return {f"week_{number}": (end - timedelta(days=6), end) for number, end in enumerate(ends)}


def _amount(first: date, last: date, **conditions: Any) -> Coalesce:
    inside = Q(day__range=(first, last), **conditions)
    return Coalesce(Sum("base_amount", filter=inside), NOTHING)
