"""Live reports: kept from read to read, and made anew when what they are made from is another than it was."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from alliantra import periods
from alliantra.workspaces.locks import lock_name
from alliantra.workspaces.models import Workspace
from alliantra.workspaces.turns import in_turn
from reports.building import Question, Row, default_group, emptied, group_columns
from reports.computing import computed, stamp_of
from reports.models import Report, ReportOrigin, ReportStatus, ReportType
from revenues.models import AttributionModel

USUAL_TYPES: Final = (ReportType.ROI, ReportType.CHANNEL_BREAKDOWN, ReportType.PARTNER_RANKING)
USUAL_PERIODS: Final = ("7d", "30d", "90d")
TOUCHED_AFTER: Final = timedelta(days=1)
"""How old the note of the last read may grow: a read of what is current writes nothing else."""

NIGHT_HOUR: Final = 4
"""Late enough that no clock is turned in it."""


def live_report(workspace: Workspace, question: Question, *, period: str, now: datetime) -> Report:
    """The report that answers the question as of `now`, refreshed if it is stale.

    `period` is how its days were asked for.
    """
    report, _ = _current(workspace, question, period, now)
    return report


def refresh(workspace: Workspace, *, now: datetime) -> int:
    """Bring the usual reports of a workspace up to date; how many were stale."""
    today = now.astimezone(workspace.zone).date()
    stale = 0
    for kind in USUAL_TYPES:
        for period in USUAL_PERIODS:
            first, last = periods.resolve(period, today=today)
            model = AttributionModel.LAST_TOUCH.value
            question = Question(kind.value, default_group(kind), first, last, model, {})
            _, was_stale = _current(workspace, question, period, now)
            stale += was_stale
    return stale


def refresh_nightly(*, now: datetime) -> int:
    """Refresh the workspaces on whose clocks it is NIGHT_HOUR; how many reports were stale. Asked once an hour."""

    def refresh_at_night(workspace: Workspace) -> int:
        return refresh(workspace, now=now) if now.astimezone(workspace.zone).hour == NIGHT_HOUR else 0

    return sum(in_turn(Workspace.objects.all(), refresh_at_night).values())


def _current(workspace: Workspace, question: Question, period: str, now: datetime) -> tuple[Report, bool]:
    """The report, and whether it was stale."""
    report = _kept(workspace, question).filter(stamp=stamp_of(workspace, now)).first()
    if report is None:
        return _refreshed(workspace, question, period, now), True
    if report.updated_at < now - TOUCHED_AFTER:
        Report.objects.in_workspace(workspace).filter(pk=report.pk).update(updated_at=now)
    report.covers_until = now
    return report, False


@transaction.atomic
def _refreshed(workspace: Workspace, question: Question, period: str, now: datetime) -> Report:
    """Made anew, unless another request did so just now: of several at once, one does the work."""
    lock_name(workspace, "live report", repr(_key(question)))
    report = _kept(workspace, question).first()
    if report is not None and report.stamp == stamp_of(workspace, now):
        report.covers_until = now
        return report
    if report is not None and report.computed_at is not None:
        # Who has read it asks for what changed since: what began earlier may not change rows before that.
        now = max(now, report.computed_at + timedelta(microseconds=1))
    values = computed(workspace, question, now=now)
    if report is None:
        report = Report(workspace=workspace, origin=ReportOrigin.LIVE, status=ReportStatus.READY, **_key(question))
    else:
        key = group_columns(question.group_by)[0]
        _keep_times(values["rows"], report.rows, key)
        values["gone_rows"] = _gone(values["rows"], report, key, now)
    for name, value in {**values, "period": period}.items():
        setattr(report, name, value)
    report.save()
    return report


def _keep_times(rows: Iterable[Row], earlier: Iterable[Row], key: str) -> None:
    """Rows that say what they said before keep the time of their last change."""
    before: Mapping[Any, Row] = {row[key]: row for row in earlier}
    for row in rows:
        old = before.get(row[key])
        if old is not None and {**old, "updated_at": row["updated_at"]} == row:
            row["updated_at"] = old["updated_at"]


def _gone(rows: Iterable[Row], earlier: Report, key: str, now: datetime) -> list[Row]:
    """What the report had once and has no more; what went missing just now did so at `now`."""
    there = {row[key] for row in rows}
    left = [emptied(row, now=now) for row in earlier.rows if row[key] not in there]
    return [*(row for row in earlier.gone_rows if row[key] not in there), *left]


def _kept(workspace: Workspace, question: Question) -> QuerySet[Report]:
    """The live report of a question, if there is one; its rows may be many megabytes, so a stale one stays unread."""
    return Report.objects.in_workspace(workspace).filter(origin=ReportOrigin.LIVE, **_key(question))


def _key(question: Question) -> dict[str, Any]:
    """What tells one live report of a workspace from another."""
    return {
        "type": question.type,
        "group_by": question.group_by,
        "first_day": question.first,
        "last_day": question.last,
        "attribution_model": question.model,
        "filters": dict(question.filters),
    }
