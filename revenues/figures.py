"""Figures of partners and products, read from the rollups and so current to the last commit."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import (
    Count,
    DecimalField,
    Exists,
    FilteredRelation,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Sum,
)
from django.db.models.functions import Coalesce

from alliantra.workspaces.models import Workspace
from revenues.models import EventType, ProductMapping, RevenueEvent, RevenueRollup

NOTHING = Decimal(0)
_AMOUNT: DecimalField = DecimalField(max_digits=30, decimal_places=6)


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
        row["partner_id"]: PartnerFigures(row["revenue"], row["conversions"], row["registrations"], row["all_events"])
        for row in rows
    }


def with_revenue(partners: QuerySet[Any], workspace: Workspace, *, first: date, last: date) -> QuerySet[Any]:
    """`partners` with `revenue`: net, base currency, in the period."""
    inside = Q(
        rollups__workspace=workspace, rollups__day__range=(first, last), rollups__currency=workspace.base_currency
    )
    return partners.annotate(counted=FilteredRelation("rollups", condition=inside)).annotate(
        revenue=Coalesce(Sum("counted__amount"), NOTHING, output_field=_AMOUNT)
    )


def with_revenue_count(products: QuerySet[Any], workspace: Workspace) -> QuerySet[Any]:
    """`products` with `revenue_count`: how many rows that move money belong to each."""
    inside = Q(rollups__workspace=workspace, rollups__type__isnull=False)
    return products.annotate(counted=FilteredRelation("rollups", condition=inside)).annotate(
        revenue_count=Coalesce(Sum("counted__events"), 0)
    )


def unmapped_identifiers(workspace: Workspace) -> QuerySet[Any, dict[str, Any]]:
    """Identifiers per source that match no product and are not ignored, the most frequent first."""
    mapping = ProductMapping.objects.in_workspace(workspace).filter(
        source=OuterRef("source"), external_product_identifier=OuterRef("external_product_identifier")
    )
    return (
        RevenueEvent.objects.in_workspace(workspace)
        .filter(~Exists(mapping), product=None)
        .exclude(external_product_identifier="")
        .values("source_id", "external_product_identifier")
        .annotate(revenue_count=Count("id"), first_occurred_at=Min("occurred_at"), last_occurred_at=Max("occurred_at"))
        .order_by("-revenue_count", "source_id", "external_product_identifier")
    )
