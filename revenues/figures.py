"""Figures of partners, channels, programs, regions and months, read from rollups and so right to the last commit.

Every figure that the API, the console or a file shows of a period is made here, so that they cannot differ.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count, Max

from alliantra.money import CONTEXT, STORED_QUANTUM
from alliantra.workspaces.models import Workspace
from partners.models import AllocationCostState, Cost, Partner, PartnerMetrics
from revenues.attribution import catch_up_for_read, lookback
from revenues.models import AttributionModel, AttributionTask, RevenueEvent
from revenues.rollups import count_deltas

NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums of one group in one period. Amounts in the workspace's base currency; `refunds` are zero or negative.

    `unconverted` counts events that wait for an exchange rate and are in no amount. `previous_revenue` is that of the
    period of equal length before; of a month, that of the same days a month before.
    """

    revenue: Decimal = NOTHING
    revenue_attributed: Decimal = NOTHING
    sales: Decimal = NOTHING
    refunds: Decimal = NOTHING
    conversions: int = 0
    registrations: int = 0
    events: int = 0
    unconverted: int = 0
    cost: Decimal = NOTHING
    previous_revenue: Decimal = NOTHING

    @property
    def roi(self) -> Decimal | None:
        """(revenue − cost) ÷ cost; None without cost. 0.25 is 25 %."""
        return _ratio(self.revenue - self.cost, self.cost)

    @property
    def growth(self) -> Decimal | None:
        """Revenue against the period before; None if that brought nothing."""
        return _ratio(self.revenue - self.previous_revenue, self.previous_revenue)

    @property
    def refund_rate(self) -> Decimal | None:
        """What was refunded of what was sold; None without sales."""
        return _ratio(-self.refunds, self.sales)


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    """Rounded half-even to six decimals; None where there is nothing to compare with. A negative whole keeps sense."""
    if not whole:
        return None
    return CONTEXT.plus(CONTEXT.quantize(CONTEXT.divide(part, abs(whole)), STORED_QUANTUM))


class Filters(NamedTuple):
    """Which part of the figures is asked for; None: all of it."""

    partner_ids: Collection[UUID] | None = None
    channel: str | None = None
    program: str | None = None
    region: str | None = None


_KEYS: Final[Mapping[str, str]] = {
    "partner": "partner_id",
    "channel": "channel",
    "program": "program",
    "region": "region",
    "month": "date_trunc('month', day)::date",
    "total": "NULL::text",
}
"""Dimension → what its groups are called by, in every table that is summed."""
_NEXT_MONTH: Final = "(date_trunc('month', day) + interval '1 month')::date"
_FIGURES: Final = """
SELECT key, sum(revenue), sum(revenue) + sum(credited), sum(sales), sum(refunds), sum(conversions), sum(registrations),
       sum(events), sum(unconverted), sum(cost), sum(previous_revenue)
FROM (
    SELECT {key} AS key, base_amount AS revenue, 0 AS credited,
           CASE WHEN type = 'sale' THEN base_amount ELSE 0 END AS sales,
           CASE WHEN type = 'refund' THEN base_amount ELSE 0 END AS refunds,
           CASE WHEN event_type = 'conversion' THEN events ELSE 0 END AS conversions,
           CASE WHEN event_type = 'registration' THEN events ELSE 0 END AS registrations,
           events, unconverted, 0 AS cost, 0 AS previous_revenue
    FROM revenues_revenuerollup
    WHERE workspace_id = %(workspace)s AND day BETWEEN %(first)s AND %(last)s {filters}
    UNION ALL
    SELECT {previous_key}, 0, 0, 0, 0, 0, 0, 0, 0, 0, base_amount
    FROM revenues_revenuerollup
    WHERE workspace_id = %(workspace)s AND day BETWEEN %(previous_first)s AND %(previous_last)s {filters}
    UNION ALL
    SELECT {key}, 0, {model}, 0, 0, 0, 0, 0, 0, 0, 0
    FROM revenues_creditrollup
    WHERE workspace_id = %(workspace)s AND day BETWEEN %(first)s AND %(last)s {filters}
    UNION ALL
    SELECT {key}, 0, 0, 0, 0, 0, 0, 0, 0, base_amount, 0
    FROM partners_costday
    WHERE workspace_id = %(workspace)s AND day BETWEEN %(first)s AND %(last)s {filters}
) AS summand
GROUP BY key
"""


def figures_by(
    workspace: Workspace,
    dimension: str,
    *,
    first: date,
    last: date,
    model: str = AttributionModel.LAST_TOUCH,
    filters: Filters = Filters(),  # noqa: B008 - immutable
) -> dict[Any, Figures]:
    """Figures of each group that has any, days in the workspace's zone, both inclusive; one query.

    `dimension` is partner (keys: ids, None for rows without), channel, program, region (texts, "" for none), month
    (its first day) or total (the key None). Credits of what was just posted are worked out first, but for last touch:
    there they only concern events without a partner, and follow within seconds.
    """
    if model != AttributionModel.LAST_TOUCH:
        catch_up_for_read(workspace)
    previous = _months_before(first, last) if dimension == "month" else _days_before(first, last)
    conditions = {
        "partner_id = ANY(%(partner_ids)s)": filters.partner_ids is not None,
        "channel = %(channel)s": filters.channel is not None,
        "program = %(program)s": filters.program is not None,
        "region = %(region)s": filters.region is not None,
    }
    statement = _FIGURES.format(
        key=_KEYS[dimension],
        previous_key=_NEXT_MONTH if dimension == "month" else _KEYS[dimension],
        model=AttributionModel(model).value,
        filters=" ".join(f"AND {condition}" for condition, is_asked in conditions.items() if is_asked),
    )
    parameters = {
        **filters._asdict(),
        "partner_ids": list(filters.partner_ids or ()),
        "workspace": workspace.pk,
        "first": first,
        "last": last,
        "previous_first": previous[0],
        "previous_last": previous[1],
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return {key: _figures(sums) for key, *sums in cursor.fetchall()}


def _figures(sums: list[Any]) -> Figures:
    revenue, attributed, sales, refunds, conversions, registrations, events, unconverted, cost, previous = sums
    return Figures(
        revenue,
        attributed,
        sales,
        refunds,
        int(conversions),
        int(registrations),
        int(events),
        int(unconverted),
        Decimal(cost),
        Decimal(previous),
    )


def _days_before(first: date, last: date) -> tuple[date, date]:
    return first - (last - first) - timedelta(days=1), first - timedelta(days=1)


def _months_before(first: date, last: date) -> tuple[date, date]:
    """The same days a month before; what ends with its month is compared with whole months."""
    is_month_end = (last + timedelta(days=1)).day == 1
    return _month_earlier(first), last.replace(day=1) - timedelta(days=1) if is_month_end else _month_earlier(last)


def _month_earlier(day: date) -> date:
    last_of_month = day.replace(day=1) - timedelta(days=1)
    return last_of_month.replace(day=min(day.day, last_of_month.day))


def costs_as_of(workspace: Workspace) -> datetime | None:
    """Up to when allocations are counted as costs; None if they never were."""
    state = AllocationCostState.objects.in_workspace(workspace).first()
    return state.as_of if state else None


def figures_stamp(workspace: Workspace) -> str:
    """A text that is another one whenever a figure, or a name beside it, may have changed."""
    costs = Cost.objects.in_workspace(workspace).aggregate(rows=Count("id"), at=Max("updated_at"))
    partners = Partner.objects.in_workspace(workspace).aggregate(rows=Count("id"), at=Max("updated_at"))
    scored = PartnerMetrics.objects.in_workspace(workspace).aggregate(at=Max("updated_at"))["at"]
    waiting = AttributionTask.objects.in_workspace(workspace).count()
    credited = RevenueEvent.objects.in_workspace(workspace).aggregate(at=Max("updated_at"))["at"]
    parts = (
        count_deltas(workspace),
        waiting,
        credited,
        lookback(workspace).days,
        costs["rows"],
        costs["at"],
        costs_as_of(workspace),
        partners["rows"],
        partners["at"],
        scored,
    )
    return " ".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in parts)
