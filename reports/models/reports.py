"""Reports as they were computed."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel
from alliantra.workspaces.work import LeasedWork
from revenues.models import AttributionModel


class ReportType(models.TextChoices):
    """What a report answers."""

    ROI = "roi", "ROI"
    CHANNEL_BREAKDOWN = "channel_breakdown"
    PARTNER_RANKING = "partner_ranking"
    FORECAST = "forecast"


class ReportGroup(models.TextChoices):
    """What a report has one row for."""

    PARTNER = "partner"
    CHANNEL = "channel"
    PROGRAM = "program"
    REGION = "region"
    MONTH = "month"


class ReportFormat(models.TextChoices):
    """How a report is written."""

    JSON = "json"
    CSV = "csv"


class ReportStatus(models.TextChoices):
    """How far a report is."""

    QUEUED = "queued"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


class ReportOrigin(models.TextChoices):
    """Why a report was made."""

    LIVE = "live"
    ON_DEMAND = "on_demand"
    SCHEDULED = "scheduled"


class Report(LeasedWork):
    """One row: figures of a period by one dimension, as they were at `computed_at`.

    `covers_until` is the moment up to which everything that was committed is in the figures, `cost_as_of` that of
    the allocations in the costs. A live report is refreshed whenever it is read and `stamp`, which names the state of
    the figures, is another by then; the others never change once they are ready. Each of `rows` says when its own
    figures last changed. `gone_rows` are those that a live report had and has no more, emptied: who pulls changes has
    to hear of them.
    """

    WAITING = (ReportStatus.QUEUED, ReportStatus.BUILDING)

    origin = models.CharField(max_length=10, choices=ReportOrigin.choices)
    status = models.CharField(max_length=8, choices=ReportStatus.choices, default=ReportStatus.QUEUED)
    type = models.CharField(max_length=20, choices=ReportType.choices)
    group_by = models.CharField(max_length=10, choices=ReportGroup.choices)
    period = models.CharField(max_length=21)
    first_day = models.DateField()
    last_day = models.DateField()
    filters = ExactJSONField(default=dict)
    attribution_model = models.CharField(
        max_length=14, choices=AttributionModel.choices, default=AttributionModel.LAST_TOUCH
    )
    format = models.CharField(max_length=4, choices=ReportFormat.choices, default=ReportFormat.JSON)
    schedule = models.ForeignKey(
        "reports.ReportSchedule", on_delete=models.SET_NULL, null=True, db_index=False, related_name="reports"
    )
    due_at = models.DateTimeField(null=True)
    requested_by = models.CharField(max_length=200, blank=True)
    stamp = models.CharField(max_length=200, blank=True)
    computed_at = models.DateTimeField(null=True)
    covers_until = models.DateTimeField(null=True)
    cost_as_of = models.DateTimeField(null=True)
    rows = ExactJSONField(default=list)
    gone_rows = ExactJSONField(default=list)
    totals = ExactJSONField(default=dict)
    failure = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["workspace", "type", "group_by", "first_day", "last_day", "attribution_model", "filters"],
                condition=Q(origin="live"),
                name="report_live",
            ),
            models.UniqueConstraint(
                fields=["workspace", "schedule", "due_at"], condition=~Q(schedule=None), name="report_of_schedule"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="report_created"),
            models.Index(
                fields=["workspace", "status"], condition=Q(status__in=("queued", "building")), name="report_waiting"
            ),
        ]

    def __str__(self) -> str:
        first, last = (f"{day.day} {day:%b %Y}" for day in (self.first_day, self.last_day))
        return f"{self.get_type_display()} by {self.group_by}, {first} – {last}"


class ReportMail(WorkspaceModel):
    """One row: a report that goes, or went, to one address. `sent_at` is null until a mail server took it."""

    report = models.ForeignKey(Report, on_delete=models.CASCADE, db_index=False, related_name="mails")
    recipient = models.EmailField()
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "report", "recipient"], name="reportmail_recipient"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["workspace", "next_attempt_at"],
                condition=Q(next_attempt_at__isnull=False),
                name="reportmail_due",
            ),
        ]

    def __str__(self) -> str:
        return self.recipient
