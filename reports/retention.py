"""How long reports are kept."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from alliantra.workspaces.models import Workspace
from alliantra.workspaces.turns import in_turn
from reports.models import Report, ReportMail, ReportOrigin

LIVE_DAYS: Final = 30
LIVE_LIMIT: Final = 2_000
"""Live reports that a workspace keeps: whoever asks for ever other periods fills no disk."""
BATCH: Final = 200


def purge_reports(*, now: datetime) -> int:
    """Delete live reports that nobody read for LIVE_DAYS, and the others REPORT_DAYS after they were asked for."""
    return sum(in_turn(Workspace.objects.all(), partial(_purge, now=now)).values())


def _purge(workspace: Workspace, *, now: datetime) -> int:
    reports = Report.objects.in_workspace(workspace)
    live = reports.filter(origin=ReportOrigin.LIVE)
    forgotten = live.filter(updated_at__lt=now - timedelta(days=LIVE_DAYS))
    asked = reports.exclude(origin=ReportOrigin.LIVE).exclude(status__in=Report.WAITING)
    old = asked.filter(created_at__lt=now - timedelta(days=settings.REPORT_DAYS))
    beyond = live.order_by("-updated_at", "-id").values_list("pk", flat=True)[LIVE_LIMIT:]
    identities: list[UUID] = [*forgotten.values_list("pk", flat=True), *old.values_list("pk", flat=True), *beyond]
    for start in range(0, len(identities), BATCH):
        _delete(workspace, identities[start : start + BATCH])
    return len(set(identities))


@transaction.atomic
def _delete(workspace: Workspace, identities: list[UUID]) -> None:
    """In batches, so that no transaction is long."""
    ReportMail.objects.in_workspace(workspace).filter(report__in=identities).delete()
    Report.objects.in_workspace(workspace).filter(pk__in=identities).delete()
