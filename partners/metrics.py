"""Reads of what jobs found out about partners."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from uuid import UUID

from alliantra.workspaces.models import Workspace
from partners.models import PartnerMetrics


def latest_metrics(workspace: Workspace, *, partner_ids: Collection[UUID]) -> Mapping[UUID, PartnerMetrics]:
    """What is known of the named partners that anything is known of."""
    rows = PartnerMetrics.objects.in_workspace(workspace).filter(partner__in=list(partner_ids))
    return {row.partner_id: row for row in rows}


def scores(workspace: Workspace) -> Mapping[UUID, Decimal | None]:
    """The last score of every partner that was scored; None for those without one."""
    return dict(PartnerMetrics.objects.in_workspace(workspace).values_list("partner_id", "score"))
