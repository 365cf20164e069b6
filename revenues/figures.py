"""What a partner brought in a period, read from the rollups and so current to the last commit."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import DecimalField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from alliantra.workspaces.models import Workspace
from revenues.models import EventType, RevenueRollup

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class PartnerFigures:
    """Net revenue in the workspace's base currency, and counts, of one partner in one period."""

    revenue: Decimal = NOTHING
    conversions: int = 0
    registrations: int = 0
    events: int = 0


def partner_figures(
    workspace: Workspace, partner_ids: Iterable[UUID], *, first: date, last: date
) -> dict[UUID, PartnerFigures]:
    """Figures of the named partners, days in the workspace's zone, both inclusive; one query."""
    in_base = Q(currency=workspace.base_currency)
    rows = (
        RevenueRollup.objects.in_workspace(workspace)
        .filter(partner__in=list(partner_ids), day__range=(first, last))
        .values("partner_id")
        .annotate(
            revenue=Coalesce(Sum("amount", filter=in_base), NOTHING),
            conversions=Coalesce(Sum("events", filter=Q(event_type=EventType.CONVERSION)), 0),
            registrations=Coalesce(Sum("events", filter=Q(event_type=EventType.REGISTRATION)), 0),
            all_events=Sum("events"),
        )
    )
    return {
        row["partner_id"]: PartnerFigures(
            row["revenue"], row["conversions"], row["registrations"], row["all_events"]
        )
        for row in rows
    }


def with_revenue(partners: QuerySet[Any], workspace: Workspace, *, first: date, last: date) -> QuerySet[Any]:
    """`partners` with `revenue`: net, base currency, in the period."""
    sums = (
        RevenueRollup.objects.in_workspace(workspace)
        .filter(partner=OuterRef("pk"), day__range=(first, last), currency=workspace.base_currency)
        .values("partner_id")
        .annotate(total=Sum("amount"))
        .values("total")
    )
    amount = DecimalField(max_digits=30, decimal_places=6)
    return partners.annotate(revenue=Coalesce(Subquery(sums, output_field=amount), NOTHING, output_field=amount))
