"""When reports are due by their schedules, and making one of each due time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from cronsim import CronSim, CronSimError
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from alliantra import periods
from reports.models import Report, ReportOrigin, ReportSchedule, ReportStatus

log = structlog.get_logger(__name__)
_FIELDS: Final = 5
_SHORT: Final = timedelta(days=2)


class BadCron(ValueError):
    """The expression cannot be read, or no moment ever fits it; says which."""


def next_time(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    """The first moment after `after` at which the clock of `zone` fits `cron`, in UTC. Raises BadCron.

    A time of day that the clock leaps over counts when it has leapt; one that comes twice counts once.
    """
    for moment in _times(cron, zone, after):
        # The hour that comes twice has one name: from its second half the library may name a time of the first.
        if moment > after:
            return moment
    raise BadCron("No date ever fits the expression.")


def latest_time(cron: str, zone: ZoneInfo, *, since: datetime, now: datetime) -> datetime:
    """The last moment up to `now` that fits `cron`, or `since`, one that did, if none did after it. Raises BadCron."""
    latest = since
    if now - since > _SHORT:
        backwards = _times(cron, zone, now - _SHORT, is_reversed=True)
        latest = max(since, next((moment for moment in backwards if moment <= now), since))
    for moment in _times(cron, zone, latest):
        if moment > now:
            break
        latest = max(latest, moment)
    return latest


def _times(cron: str, zone: ZoneInfo, start: datetime, *, is_reversed: bool = False) -> Iterator[datetime]:
    """Moments that fit, from `start` on, none of them `start` itself. Raises BadCron."""
    if len(cron.split()) != _FIELDS:
        raise BadCron("Expected five fields: minute, hour, day of the month, month, day of the week.")
    try:
        simulated = CronSim(cron, start.astimezone(zone), reverse=is_reversed)
    except CronSimError as error:
        raise BadCron(f"{error}.") from error
    for moment in simulated:
        yield moment.astimezone(UTC)


def with_last_report(schedules: QuerySet[ReportSchedule]) -> QuerySet[ReportSchedule]:
    """Schedules with `last_report_id`, the report that each made last; null if it made none."""
    made = Report.objects.filter(workspace=OuterRef("workspace"), schedule=OuterRef("pk"))
    return schedules.annotate(last_report_id=Subquery(made.order_by("-created_at", "-id").values("pk")[:1]))


# -- making reports ------------------------------------------------------------------------------------


def run_due(*, now: datetime) -> int:
    """Queue one report for each schedule that is due; how many. Of several sweepers at once, one takes a schedule.

    One that fails stays due, and keeps no other waiting.
    """
    due = ReportSchedule.objects.filter(is_active=True, next_run_at__lte=now).order_by("next_run_at")
    queued = 0
    for identity in list(due.values_list("pk", flat=True)):
        try:
            queued += _run(identity, now)
        except Exception:
            log.exception("schedule.failed", schedule_id=str(identity))
    return queued


@transaction.atomic
def _run(identity: UUID, now: datetime) -> bool:
    """Queue the report of a due schedule; of several times that were missed, the latest stands for all."""
    due = ReportSchedule.objects.filter(pk=identity, is_active=True, next_run_at__lte=now)
    schedule = due.select_for_update(of=("self",), skip_locked=True).select_related("workspace").first()
    if schedule is None:
        return False
    zone = ZoneInfo(schedule.timezone)
    try:
        due_at = latest_time(schedule.cron, zone, since=schedule.next_run_at, now=now)
        schedule.next_run_at = next_time(schedule.cron, zone, now)
    except BadCron as error:
        log.warning("schedule.stopped", schedule_id=str(schedule.pk), error=str(error))
        schedule.next_run_at = None
        schedule.save(update_fields=["next_run_at", "updated_at"])
        return False
    is_new = not schedule.reports.filter(workspace=schedule.workspace, due_at=due_at).exists()
    if is_new:
        scheduled_report(schedule, moment=due_at, due_at=due_at).save()
        schedule.last_run_at = now
    schedule.save(update_fields=["next_run_at", "last_run_at", "updated_at"])
    return is_new


def scheduled_report(schedule: ReportSchedule, *, moment: datetime, due_at: datetime | None) -> Report:
    """The report that a schedule asks for at a moment, waiting for a worker; not saved.

    The period is that of the day it is then on the schedule's clock.
    """
    first, last = periods.resolve(schedule.period, today=moment.astimezone(ZoneInfo(schedule.timezone)).date())
    return Report(
        workspace=schedule.workspace,
        origin=ReportOrigin.SCHEDULED,
        status=ReportStatus.QUEUED,
        type=schedule.type,
        group_by=schedule.group_by,
        period=schedule.period,
        first_day=first,
        last_day=last,
        filters=schedule.filters,
        attribution_model=schedule.attribution_model,
        format=schedule.format,
        schedule=schedule,
        due_at=due_at,
        requested_by=schedule.name,
    )
