"""Celery entry points of reports and intelligence."""

from uuid import UUID

from celery import shared_task
from django.utils.timezone import now

from reports import allocation_costs, live, mailing, making, retention, scheduling
from reports.health import worklist


@shared_task
def make_report(*, report_id: str) -> None:
    """Make one report that was asked for, unless another worker does."""
    making.make(UUID(report_id))


@shared_task
def sweep_reports() -> None:
    """Make reports that no worker was woken for, or whose worker died."""
    making.sweep()


@shared_task
def run_report_schedules() -> None:
    """Queue the reports of schedules that are due, and make them."""
    if scheduling.run_due(now=now()):
        making.sweep()


@shared_task
def send_report_mails() -> None:
    """Send the mails of finished reports. Any number may run at once."""
    mailing.send_due(now=now())


@shared_task
def refresh_reports() -> None:
    """Bring the usual reports of workspaces up to date in whose night it is."""
    live.refresh_nightly(now=now())


@shared_task
def purge_reports() -> None:
    """Delete reports after their time."""
    retention.purge_reports(now=now())


@shared_task
def refresh_allocation_costs() -> None:
    """Bring what partners cost through allocations up to date, in every workspace."""
    allocation_costs.refresh_all(now=now())


@shared_task
def evaluate_partners() -> None:
    """Score the partners of workspaces whose day is over and evaluate their health, up to three days late."""
    worklist.sweep(now=now())
