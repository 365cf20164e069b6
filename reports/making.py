"""The body of the job that makes reports on demand and by schedule: claim, build, settle, announce, at once."""

from contextlib import suppress
from uuid import UUID

import structlog
from django.db import transaction
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.work import LeaseLost, attempt, attempt_all, renew, settle
from reports.computing import computed, question_of
from reports.models import Report, ReportMail, ReportStatus
from webhooks.event_types import EventType
from webhooks.services import emit

log = structlog.get_logger(__name__)


def make(report_id: UUID) -> None:
    """Make a report that waits for it; do nothing for any other.

    What an attempt writes becomes visible in one commit, or never: rows, announcement and mails. A database that
    goes away leaves the report waiting; anything else that goes wrong makes it `failed`, with the reason.
    """
    attempt(Report, report_id, _attempt, _fail, status=ReportStatus.BUILDING)


def sweep() -> None:
    """Make every report that waits."""
    attempt_all(Report, make)


@transaction.atomic
def _attempt(report: Report) -> None:
    # Written here, the row stays locked until the commit: nobody takes it over, however long this takes.
    renew(report)
    values = computed(report.workspace, question_of(report), now=now())
    settle(report, status=ReportStatus.READY, failure="", **values)
    report.refresh_from_db()
    _announce(report)
    _address(report)


def _announce(report: Report) -> None:
    assert report.computed_at is not None
    payload = {
        "id": str(report.pk),
        "report_type": report.type,
        "group_by": report.group_by,
        "period": f"{report.first_day},{report.last_day}",
        "format": report.format,
        "computed_at": report.computed_at.isoformat(),
    }
    emit(EventType.REPORT_READY, actor=Actor.system(report.workspace), payload=payload)


def _address(report: Report) -> None:
    """One mail to each recipient of the report's schedule, due now."""
    recipients = report.schedule.recipients if report.schedule else []
    ReportMail.objects.bulk_create(
        ReportMail(workspace=report.workspace, report=report, recipient=recipient, next_attempt_at=now())
        for recipient in recipients
    )


def _fail(report: Report, reason: str) -> None:
    """Say why there is no report, unless it has gone to another worker meanwhile."""
    with suppress(LeaseLost):
        settle(report, status=ReportStatus.FAILED, failure=reason[:500])
