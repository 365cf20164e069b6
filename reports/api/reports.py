"""`/v1/reports`: live reports, answered at once, and reports that a worker makes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra import periods
from alliantra.api.fields import TimeField
from alliantra.api.filters import TimeFilter
from alliantra.api.pagination import whole_number
from alliantra.api.viewsets import WorkspaceViewSet
from alliantra.errors import DomainError
from reports import services
from reports.api.report_shapes import TEXT_LENGTH, QuestionSerializer, ReportSerializer
from reports.building import FILTERS, Question, canonical, default_group
from reports.csv_files import csv_text, file_name
from reports.live import live_report
from reports.models import Report, ReportFormat, ReportGroup, ReportType
from revenues.models import AttributionModel

CSV = "text/csv"
HORIZON_DAYS = 90
LEVELS = ("80", "95")
FORECAST_GROUPS = (ReportGroup.PARTNER.value, ReportGroup.CHANNEL.value, ReportGroup.PROGRAM.value)
ANSWERS: Mapping[Any, Any] = {(200, "application/json"): ReportSerializer, (200, CSV): OpenApiTypes.STR}
_TEXT = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH}
_FORMAT = {"type": "string", "enum": ReportFormat.values, "default": "json"}
_NARROWING = {"partner_id": {"type": "string", "format": "uuid"}, **dict.fromkeys(FILTERS[1:], _TEXT)}
_LIVE: Mapping[str, Any] = {
    "group_by": {"type": "string", "enum": ReportGroup.values},
    "period": {"type": "string", "pattern": periods.PATTERN, "default": "30d"},
    "format": _FORMAT,
    "attribution_model": {"type": "string", "enum": AttributionModel.values, "default": "last_touch"},
    "updated_since": {"type": "string", "format": "date-time"},
    **_NARROWING,
}
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "live": {"report_type": {"type": "string", "enum": ReportType.values, "default": "roi"}, **_LIVE},
    "roi": _LIVE,
    "forecast": {
        "group_by": {"type": "string", "enum": list(FORECAST_GROUPS), "default": FORECAST_GROUPS[0]},
        "horizon": {"type": "integer", "minimum": 1, "maximum": HORIZON_DAYS, "default": 30},
        "level": {"type": "string", "enum": list(LEVELS)},
    },
    "retrieve": {"format": {**_FORMAT, "default": "json"}},
}
"""Action → name → JSON schema of its query parameters."""
_FIGURES_EXAMPLE = {
    "revenue": 1250.5,
    "revenue_attributed": 1180.25,
    "sales": 1300.5,
    "refunds": -50,
    "conversions": 12,
    "registrations": 7,
    "events": 31,
    "unconverted_events": 0,
    "cost": 250.1,
    "roi": 4,
    "growth": 0.125,
    "refund_rate": 0.038447,
}
REPORT_EXAMPLE = {
    "period": "2026-05-02,2026-05-31",
    "currency": "GBP",
    "partner_external_id": "p_lighthouse",
    "partner_name": "Lighthouse Reviews",
    "channel": "content",
    "program": "affiliates",
    "region": "United Kingdom",
    "month": "2026-05",
    "rank": 1,
    "share": 0.405,
    "score": 81.5,
    "failure": "",
    "requested_by": "Demo key",
    "mails": [],
    **_FIGURES_EXAMPLE,
}


class ReportViews(WorkspaceViewSet):
    """Reports say when they were computed and what they cover.

    A live report, answered by GET, holds everything that was posted before the request. A report that was asked for
    by POST is made by a worker, announced as `report.ready`, and never changes after that. CSV carries the numbers of
    the JSON.
    """

    model = Report
    resource = "reports"
    serializer_class = ReportSerializer
    further_problems: ClassVar = (409,)
    example = {**REPORT_EXAMPLE, "period": "2026-05-02,2026-05-31"}
    shown_since: datetime | None = None

    @property
    def query_parameters(self) -> Mapping[str, Mapping[str, Any]]:  # type: ignore[override]
        """Each action has its own."""
        return PARAMETERS.get(self.action or "", {})

    def prepare(self, rows: QuerySet[Report]) -> QuerySet[Report]:
        """With their workspace, whose currency they are in."""
        return rows.select_related("workspace")

    # -- live ------------------------------------------------------------------------------------

    @extend_schema(responses=ANSWERS)
    def live(self, request: Request) -> HttpResponseBase:
        """Answer a report of now.

        It is made from what is kept if nothing has changed since, and refreshed in the same request if something has.
        `updated_since` leaves out the rows that have not changed since then; the totals stay those of all rows. A row
        that is there no more comes once more, its figures zero.
        """
        return self._live(self._choice("report_type", ReportType.ROI.value))

    @extend_schema(responses=ANSWERS)
    def roi(self, request: Request) -> HttpResponseBase:
        """Answer what was earned on what was spent: `GET /v1/reports` with `report_type=roi`."""
        return self._live(ReportType.ROI.value)

    @extend_schema(responses={(409, "application/problem+json"): OpenApiTypes.OBJECT})
    def forecast(self, request: Request) -> HttpResponseBase:
        """Forecast revenue by partner, channel or program. Not computed yet: 409 `not_computed`."""
        self._choice("group_by", FORECAST_GROUPS[0])
        whole_number(request, "horizon", default=30, maximum=HORIZON_DAYS)
        self._choice("level", LEVELS[0])
        raise DomainError("not_computed")

    def _live(self, report_type: str) -> HttpResponseBase:
        form = self._choice("format", ReportFormat.JSON.value)
        self.shown_since = self._moment("updated_since")
        moment = now()
        period = self.request.query_params.get("period", "30d")
        question = self._question(report_type, period, moment)
        if report_type == ReportType.FORECAST:
            raise DomainError("not_computed")
        report = live_report(self.workspace, question, period=period, now=moment)
        report.workspace, report.format = self.workspace, form
        return self.file(report) if form == ReportFormat.CSV else Response(self.represented(report))

    def _question(self, report_type: str, period: str, moment: datetime) -> Question:
        try:
            first, last = periods.resolve(period, today=moment.astimezone(self.workspace.zone).date())
        except periods.BadPeriod as error:
            raise DomainError("invalid_parameter", f"period: {error}", parameter="period") from error
        group = self._choice("group_by", default_group(report_type))
        model = self._choice("attribution_model", AttributionModel.LAST_TOUCH.value)
        return Question(report_type, group, first, last, model, self._filters())

    def _filters(self) -> dict[str, str]:
        found = {name: self.request.query_params[name] for name in FILTERS if name in self.request.query_params}
        for name, text in found.items():
            if not 0 < len(text) <= TEXT_LENGTH:
                message = f"{name} must have 1 to {TEXT_LENGTH} characters."
                raise DomainError("invalid_parameter", message, parameter=name)
        try:
            return canonical(found)
        except ValueError as error:
            raise DomainError("invalid_parameter", "partner_id must be an id.", parameter="partner_id") from error

    def _choice(self, name: str, default: str) -> str:
        """A parameter that is one of a few texts. Raises invalid_parameter."""
        text = self.request.query_params.get(name, default)
        allowed = self.query_parameters[name]["enum"]
        if text not in allowed:
            message = f"{name} must be one of {', '.join(allowed)}."
            raise DomainError("invalid_parameter", message, parameter=name)
        return text

    def _moment(self, name: str) -> datetime | None:
        if name not in self.request.query_params:
            return None
        try:
            moment: datetime = TimeFilter(required=True).field.clean(self.request.query_params[name])
        except ValidationError as error:
            raise DomainError("invalid_parameter", f"{name}: {' '.join(error.messages)}", parameter=name) from error
        return moment

    # -- made by a worker ------------------------------------------------------------------------

    @extend_schema(request=QuestionSerializer, responses={202: ReportSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a report. It is announced as `report.ready`, and read at its `Location`."""
        asked = QuestionSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        report = services.request_report(actor=self.actor, **asked.validated_data)
        return queued_answer(self, report)

    @extend_schema(responses=ANSWERS)
    def retrieve(self, request: Request, id: UUID) -> HttpResponseBase:  # noqa: A002
        """One report as it was made; before, its status alone. As CSV only once it is ready."""
        form = self._choice("format", ReportFormat.JSON.value)
        report: Report = self.get_object()
        if form == ReportFormat.JSON:
            return self.answered(report)
        if report.computed_at is None:
            raise DomainError("conflict", f"The report is {report.status}: there are no rows.")
        return self.file(report)

    # -- both ------------------------------------------------------------------------------------

    def shown_rows(self, report: Report) -> list[dict[str, Any]]:
        """All rows; or those that changed since the asked time, and those that are there no more."""
        if self.shown_since is None:
            return report.rows
        rows = [*report.rows, *report.gone_rows]
        return [row for row in rows if datetime.fromisoformat(row["updated_at"]) >= self.shown_since]

    def file(self, report: Report) -> HttpResponse:
        """A report as CSV; what the JSON says of its freshness stands in headers."""
        written = TimeField()
        assert report.computed_at is not None
        assert report.covers_until is not None
        headers = {
            "Content-Disposition": f'attachment; filename="{file_name(report, "csv")}"',
            "X-Report-ID": str(report.pk),
            "X-Computed-At": written.to_representation(report.computed_at),
            "X-Covers-Until": written.to_representation(report.covers_until),
        }
        if report.cost_as_of:
            headers["X-Cost-As-Of"] = written.to_representation(report.cost_as_of)
        body = csv_text(report, self.shown_rows(report)).encode()
        return HttpResponse(body, content_type=f"{CSV}; charset=utf-8", headers=headers)


def queued_answer(view: Any, report: Report) -> Response:
    """202: the report is waiting, and where it will be."""
    shown = ReportSerializer(report, context=view.get_serializer_context())
    return Response({"data": shown.data}, status=202, headers={"Location": f"/v1/reports/{report.pk}"})
