"""Use cases of reports: asking for one, and keeping schedules."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypedDict, Unpack
from zoneinfo import ZoneInfo

import structlog
from celery.exceptions import OperationalError as BrokerError
from django.db import transaction
from django.utils.timezone import now

from alliantra import periods
from alliantra.errors import DomainError, FieldProblem, Invalid
from alliantra.workspaces import audit
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.services import validate_row
from partners.models import Partner
from reports.building import canonical, default_group
from reports.models import Report, ReportOrigin, ReportSchedule, ReportType
from reports.scheduling import BadCron, next_time, scheduled_report
from reports.tasks import make_report

log = structlog.get_logger(__name__)
SCHEDULES_LIMIT = 500
RECIPIENTS_LIMIT = 20
_NOT_IN_AUDIT = {"rows", "totals", "stamp", "lease", "leased_until"}


class ReportValues(TypedDict, total=False):
    """What can be said of a report: `type`, `group_by`, `period`, `format`, and what it is narrowed to."""

    type: str
    group_by: str
    period: str
    format: str
    attribution_model: str
    filters: Mapping[str, str]


class ScheduleValues(ReportValues, total=False):
    """What can be said of a schedule; on an update, only what changes."""

    name: str
    cron: str
    timezone: str
    recipients: Sequence[str]
    is_active: bool


@transaction.atomic
def request_report(*, actor: Actor, **values: Unpack[ReportValues]) -> Report:
    """Ask for a report; a worker makes it. Raises Invalid, and not_computed for what is not computed yet."""
    workspace = actor.workspace
    report = Report(workspace=workspace, origin=ReportOrigin.ON_DEMAND, requested_by=actor.name)
    _take(report, {"type": ReportType.ROI.value, "period": "30d", **values})
    report.first_day, report.last_day = periods.resolve(report.period, today=now().astimezone(workspace.zone).date())
    report.save()
    asked = {name: value for name, value in audit.snapshot(report).items() if name not in _NOT_IN_AUDIT}
    audit.record(actor, "report.requested", report, after=asked)
    transaction.on_commit(partial(_wake_worker, report))
    return report


@transaction.atomic
def create_schedule(*, actor: Actor, **values: Unpack[ScheduleValues]) -> ReportSchedule:
    """Add a schedule. Raises Invalid, and not_computed for reports that are not computed yet."""
    workspace = actor.workspace
    if ReportSchedule.objects.in_workspace(workspace).count() >= SCHEDULES_LIMIT:
        raise Invalid.field("/name", "too_many", f"A workspace has at most {SCHEDULES_LIMIT} report schedules.")
    schedule = ReportSchedule(workspace=workspace, timezone=workspace.timezone)
    _save(schedule, {"type": ReportType.ROI.value, "period": "30d", **values})
    audit.record(actor, "report_schedule.created", schedule, after=audit.snapshot(schedule))
    return schedule


@transaction.atomic
def update_schedule(schedule: ReportSchedule, *, actor: Actor, **changes: Unpack[ScheduleValues]) -> ReportSchedule:
    """Change a schedule. Reports that are queued already stay what they were. Raises Invalid."""
    held = _held(schedule, actor)
    before = audit.snapshot(held)
    _set(held, changes)
    after = audit.snapshot(held)
    if after != before:
        # A time that is due already stays due, unless the schedule has other times now.
        is_retimed = any(after[name] != before[name] for name in ("cron", "timezone", "is_active"))
        _save(held, {}, is_retimed=is_retimed)
        audit.record(actor, "report_schedule.updated", held, before=before, after=audit.snapshot(held))
    return held


@transaction.atomic
def delete_schedule(schedule: ReportSchedule, *, actor: Actor) -> None:
    """Make no more reports by a schedule. Those that it made stay."""
    held = _held(schedule, actor)
    audit.record(actor, "report_schedule.deleted", held, before=audit.snapshot(held))
    held.delete()


@transaction.atomic
def run_schedule(schedule: ReportSchedule, *, actor: Actor) -> Report:
    """Make the report of a schedule now, as it would be if it were due, paused or not; its next time stays."""
    held = _held(schedule, actor)
    moment = now()
    report = scheduled_report(held, moment=moment, due_at=None)
    report.requested_by = actor.name
    report.save()
    held.last_run_at = moment
    held.save(update_fields=["last_run_at", "updated_at"])
    audit.record(actor, "report_schedule.run", held, after={"report_id": str(report.pk)})
    transaction.on_commit(partial(_wake_worker, report))
    return report


def _held(schedule: ReportSchedule, actor: Actor) -> ReportSchedule:
    """The schedule as it stands now, held until the transaction ends."""
    rows = ReportSchedule.objects.in_workspace(actor.workspace).select_for_update(of=("self",))
    held: ReportSchedule = rows.select_related("workspace").get(pk=schedule.pk)
    return held


def _save(schedule: ReportSchedule, values: Mapping[str, Any], *, is_retimed: bool = True) -> None:
    """Check and save a schedule; `is_retimed`, with the next time it is due from now on. Raises Invalid."""
    _take(schedule, values)
    _refuse_recipients(schedule.recipients)
    schedule.cron = " ".join(schedule.cron.split())
    validate_row(schedule)
    try:
        following = next_time(schedule.cron, ZoneInfo(schedule.timezone), now())
    except BadCron as error:
        raise Invalid.field("/cron", "invalid_cron", str(error)) from error
    if is_retimed:
        schedule.next_run_at = following if schedule.is_active else None
    schedule.save()


def _take(row: Report | ReportSchedule, values: Mapping[str, Any]) -> None:
    """Set what is asked for and refuse what cannot be made. Raises Invalid and not_computed."""
    _set(row, values)
    row.group_by = row.group_by or default_group(row.type)
    if row.type == ReportType.FORECAST:
        raise DomainError("not_computed")
    try:
        periods.resolve(row.period, today=now().date())
    except periods.BadPeriod as error:
        raise Invalid.field("/period", "invalid", str(error)) from error
    row.filters = _known_filters(row.workspace, row.filters)


def _set(row: Report | ReportSchedule, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def _known_filters(workspace: Workspace, filters: Mapping[str, str]) -> dict[str, str]:
    """Filters as they are kept. Raises Invalid for a partner that the workspace has not."""
    problem = Invalid.field("/filters/partner_id", "partner_not_found", "No partner has this id.")
    try:
        known = canonical(filters)
    except ValueError as error:
        raise problem from error
    partner = known.get("partner_id")
    if partner is not None and not Partner.objects.in_workspace(workspace).filter(pk=partner).exists():
        raise problem
    return known


def _refuse_recipients(recipients: Sequence[str]) -> None:
    if len(recipients) > RECIPIENTS_LIMIT:
        raise Invalid.field("/recipients", "too_long", f"At most {RECIPIENTS_LIMIT} recipients.")
    seen: set[str] = set()
    problems = []
    for place, recipient in enumerate(recipients):
        if recipient.lower() in seen:
            problems.append(FieldProblem(f"/recipients/{place}", "duplicate", f"{recipient} stands twice."))
        seen.add(recipient.lower())
    if problems:
        raise Invalid(problems)


def _wake_worker(report: Report) -> None:
    """The report is committed; if nobody can be woken now, the sweep finds it."""
    try:
        make_report.delay(report_id=str(report.pk))
    except (BrokerError, OSError) as error:
        log.warning("report.worker_not_woken", report_id=str(report.pk), error=str(error))
