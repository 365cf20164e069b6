"""What is known of products from the rollups, and identifiers of products that nobody mapped."""

from typing import Any

from django.db.models import Count, Exists, FilteredRelation, Max, Min, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from alliantra.workspaces.models import Workspace
from revenues.models import ProductMapping, RevenueEvent


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
