"""Daily revenue of the partners of a workspace, read as one stream."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet, Sum

from alliantra.workspaces.models import Workspace
from reports.health.expectation import AHEAD
from reports.health.training import PAST_DAYS
from reports.scoring.figures import History
from revenues.models import RevenueRollup

_ROWS: Final = 5_000
"""Rows fetched at a time: a big workspace has hundreds of thousands, which need not be in memory as such."""


@dataclass(slots=True)
class Series:
    """Net revenue of one partner, base currency: a float per day from its first revenue day, of the last PAST_DAYS.

    `latest` is that of the last AHEAD days, exactly.
    """

    values: "array[float]"
    latest: Decimal = field(default=Decimal(0))


def read_series(workspace: Workspace, day: date, histories: Mapping[UUID, History]) -> dict[UUID, Series]:
    """Series up to `day`, in the workspace's zone, of the partners that ever had revenue."""
    series = {
        partner: Series(array("d", bytes(8 * min((day - history.first_revenue).days + 1, PAST_DAYS))))
        for partner, history in histories.items()
        if history.first_revenue is not None
    }
    for partner, on, amount in _daily(workspace, day).iterator(chunk_size=_ROWS):
        back = (day - on).days
        one = series.get(partner)
        if one is None or back >= len(one.values):
            continue
        one.values[-1 - back] += float(amount)
        if back < AHEAD:
            one.latest += amount
    return series


def _daily(workspace: Workspace, day: date) -> QuerySet[Any, Any]:
    rows = RevenueRollup.objects.in_workspace(workspace).filter(
        partner__isnull=False, type__isnull=False, day__range=(day - timedelta(days=PAST_DAYS - 1), day)
    )
    return rows.values_list("partner_id", "day").annotate(Sum("base_amount"))
