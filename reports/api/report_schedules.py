"""`/v1/report-schedules`: reports that are made, and mailed, whenever a clock says so."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.filters import BooleanFilter, StrictFilterSet, UpdatedSinceFilter
from alliantra.api.pagination import ChangeCursors
from alliantra.api.parsers import refuse_body
from alliantra.api.viewsets import WriteViews
from reports import services
from reports.api.report_shapes import FiltersSerializer, PeriodField, QuestionSerializer, ReportSerializer
from reports.api.reports import REPORT_EXAMPLE, queued_answer
from reports.models import Report, ReportFormat, ReportSchedule
from reports.scheduling import with_last_report
from reports.services import RECIPIENTS_LIMIT


class ReportScheduleSerializer(QuestionSerializer):
    """When a report is made, and who gets it."""

    id = serializers.UUIDField(read_only=True)
    name = fields.TextField(max_length=200)
    period = PeriodField(
        max_length=21, required=False, help_text="Default 30d. Of the day it is on the schedule's clock when it is due."
    )
    format = fields.ChoiceField(
        choices=ReportFormat.values, required=False, help_text="Of the mailed file; default csv."
    )
    filters = FiltersSerializer(required=False)
    cron = fields.TextField(
        max_length=100, help_text="Minute, hour, day of the month, month, day of the week: `0 7 * * MON`."
    )
    timezone = fields.TextField(max_length=64, required=False, help_text="Default that of the workspace.")
    recipients = serializers.ListField(
        child=fields.EmailField(max_length=254), max_length=RECIPIENTS_LIMIT, required=False
    )
    is_active = fields.BooleanField(required=False)
    next_run_at = fields.TimeField(read_only=True, allow_null=True, help_text="Null while it is paused.")
    last_run_at = fields.TimeField(read_only=True, allow_null=True)
    last_report_id = serializers.UUIDField(
        read_only=True, allow_null=True, help_text="The report that it made last: `GET /v1/reports/{id}`."
    )
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)


class ReportScheduleFilter(StrictFilterSet):
    """Filters of the list of schedules."""

    is_active = BooleanFilter()
    updated_since = UpdatedSinceFilter()


class ReportScheduleViews(WriteViews):
    """Report schedules make a report whenever the clock of their time zone fits `cron`, and mail it to `recipients`.

    A time of day that the clock leaps over is made up for when it has leapt; one that comes twice counts once. Of
    several times that were missed, one report is made, for the latest.
    """

    model = ReportSchedule
    resource = "reports"
    serializer_class = ReportScheduleSerializer
    filterset_class = ReportScheduleFilter
    paging = ChangeCursors("created_at", "id")
    example = {
        **REPORT_EXAMPLE,
        "name": "Channels, every Monday",
        "report_type": "channel_breakdown",
        "group_by": "channel",
        "period": "7d",
        "format": "csv",
        "cron": "0 7 * * MON",
        "timezone": "Europe/London",
        "recipients": ["finance@northwind.example"],
        "is_active": True,
    }

    def prepare(self, rows: QuerySet[ReportSchedule]) -> QuerySet[ReportSchedule]:
        """With the report that each made last."""
        return with_last_report(rows)

    def create_row(self, values: dict[str, Any]) -> ReportSchedule:
        """Create through the service."""
        return services.create_schedule(actor=self.actor, **values)

    def update_row(self, row: ReportSchedule, values: dict[str, Any]) -> ReportSchedule:
        """Update through the service."""
        return services.update_schedule(row, actor=self.actor, **values)

    @extend_schema(request=None, responses={204: None})
    def remove(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Delete one schedule. The reports that it made stay."""
        refuse_body(request)
        services.delete_schedule(self.locked_object(id), actor=self.actor)
        return Response(status=204)

    @extend_schema(request=None, responses={202: ReportSerializer})
    def run(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Make the report of a schedule now, as if it were due, and mail it; the next time stays what it is."""
        refuse_body(request)
        return queued_answer(self, services.run_schedule(self.get_object(), actor=self.actor))

    def shown_rows(self, report: Report) -> list[dict[str, Any]]:
        """All of them."""
        return report.rows
