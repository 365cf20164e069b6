"""When reports are made without being asked for."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from alliantra.change_times import ChangeTimeField
from alliantra.fields import ExactJSONField
from alliantra.workspaces.models import WorkspaceModel, validate_timezone
from reports.models.reports import ReportFormat, ReportGroup, ReportType
from revenues.models import AttributionModel


class ReportSchedule(WorkspaceModel):
    """One row: a report that is made whenever the clock of `timezone` matches `cron`, and mailed to `recipients`.

    `next_run_at` is null while it is paused.
    """

    name = models.CharField(max_length=200)
    type = models.CharField(max_length=20, choices=ReportType.choices)
    group_by = models.CharField(max_length=10, choices=ReportGroup.choices)
    period = models.CharField(max_length=21)
    filters = ExactJSONField(default=dict, blank=True)
    attribution_model = models.CharField(
        max_length=14, choices=AttributionModel.choices, default=AttributionModel.LAST_TOUCH
    )
    format = models.CharField(max_length=4, choices=ReportFormat.choices, default=ReportFormat.CSV)
    cron = models.CharField(max_length=100)
    timezone = models.CharField(max_length=64, validators=[validate_timezone])
    recipients = ArrayField(models.EmailField(), default=list, blank=True)
    is_active = models.BooleanField(default=True)
    next_run_at = models.DateTimeField(null=True, blank=True)
    last_run_at = models.DateTimeField(null=True, blank=True)
    updated_at = ChangeTimeField(auto_now=True)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "created_at", "id"], name="reportschedule_created"),
            models.Index(fields=["workspace", "updated_at", "id"], name="reportschedule_updated"),
            models.Index(
                fields=["workspace", "next_run_at"],
                condition=models.Q(next_run_at__isnull=False),
                name="reportschedule_due",
            ),
        ]

    def __str__(self) -> str:
        return self.name
