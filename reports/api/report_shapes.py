"""What reports look like over HTTP: as they are asked for, and as they are answered."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alliantra import periods
from alliantra.api import fields
from alliantra.api.serializers import StrictSerializer
from partners.models import PartnerStatus
from reports.building import FIGURES, FILTERS, columns
from reports.models import Report, ReportFormat, ReportGroup, ReportOrigin, ReportStatus, ReportType
from revenues.models import AttributionModel

TEXT_LENGTH = 100


@extend_schema_field({"type": "string", "pattern": periods.PATTERN, "examples": ["30d"]})
class PeriodField(fields.TextField):
    """7d, 30d, 90d, last_month, month_to_date, or two dates."""


class FiltersSerializer(StrictSerializer):
    """What a report is narrowed to; null, or left out: to nothing."""

    partner_id = fields.IdField(required=False, allow_null=True)
    channel = fields.TextField(max_length=TEXT_LENGTH, required=False, allow_null=True)
    program = fields.TextField(max_length=TEXT_LENGTH, required=False, allow_null=True)
    region = fields.TextField(max_length=TEXT_LENGTH, required=False, allow_null=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Every filter, null where it is not set."""
        return {name: instance.get(name) for name in FILTERS}


class FiguresSerializer(serializers.Serializer[Any]):
    """Sums in the workspace's base currency. Ratios are numbers: 0.25 is 25 %."""

    revenue = fields.MoneyNumberField(help_text="Sales, refunds and adjustments, net.")
    revenue_attributed = fields.MoneyNumberField(help_text="The same under the attribution model.")
    sales = fields.MoneyNumberField()
    refunds = fields.MoneyNumberField(help_text="Zero or negative.")
    conversions = serializers.IntegerField()
    registrations = serializers.IntegerField()
    events = serializers.IntegerField()
    unconverted_events = serializers.IntegerField(help_text="Events that wait for an exchange rate; in no amount.")
    cost = fields.MoneyNumberField()
    roi = fields.MoneyNumberField(
        allow_null=True, help_text="(revenue − cost) ÷ cost, a negative cost without its sign; null without cost."
    )
    growth = fields.MoneyNumberField(
        allow_null=True,
        help_text="(revenue − before) ÷ before, of the preceding period of equal length; a negative before divides "
        "without its sign. Null where it is 0.",
    )
    refund_rate = fields.MoneyNumberField(allow_null=True, help_text="Refunds ÷ sales; null without sales.")


class RowSerializer(FiguresSerializer):
    """Figures of one group. Which of the other members a row has depends on report_type and group_by."""

    partner_id = serializers.UUIDField(required=False, allow_null=True, help_text="Null: what no partner brought.")
    partner_external_id = serializers.CharField(required=False, allow_null=True)
    partner_name = serializers.CharField(required=False, allow_null=True)
    status = serializers.ChoiceField(choices=PartnerStatus.values, required=False, allow_null=True)
    channel = serializers.CharField(required=False, allow_null=True)
    program = serializers.CharField(required=False, allow_null=True)
    region = serializers.CharField(required=False, allow_null=True)
    month = serializers.CharField(required=False, help_text="2026-05")
    rank = serializers.IntegerField(required=False, allow_null=True, help_text="By revenue; equals share a rank.")
    share = fields.MoneyNumberField(required=False, allow_null=True, help_text="Of all revenue.")
    score = fields.MoneyNumberField(required=False, allow_null=True)
    updated_at = fields.TimeField(help_text="When anything in this row last became another.")


class MailSerializer(serializers.Serializer[Any]):
    """A report on its way to one address."""

    recipient = serializers.EmailField()
    sent_at = fields.TimeField(allow_null=True, help_text="When a mail server took it.")
    attempts = serializers.IntegerField()
    next_attempt_at = fields.TimeField(allow_null=True, help_text="Null once it is sent, or given up.")
    failure = serializers.CharField(help_text="Why the last attempt failed.")


class ReportSerializer(serializers.Serializer[Any]):
    """A report: what it was asked, how fresh it is, its rows and their totals."""

    id = serializers.UUIDField()
    report_type = serializers.ChoiceField(source="type", choices=ReportType.values)
    group_by = serializers.ChoiceField(choices=ReportGroup.values)
    period = serializers.SerializerMethodField(help_text="First and last day, both inclusive: 2026-05-01,2026-05-31.")
    currency = serializers.SerializerMethodField(help_text="Of every amount.")
    attribution_model = serializers.ChoiceField(choices=AttributionModel.values)
    filters = FiltersSerializer()
    format = serializers.ChoiceField(choices=ReportFormat.values)
    origin = serializers.ChoiceField(choices=ReportOrigin.values)
    status = serializers.ChoiceField(choices=ReportStatus.values)
    failure = serializers.CharField(help_text="Why it failed; otherwise empty.")
    schedule_id = serializers.UUIDField(allow_null=True)
    due_at = fields.TimeField(allow_null=True, help_text="The time of its schedule that it was made for.")
    requested_by = serializers.CharField()
    computed_at = fields.TimeField(allow_null=True)
    covers_until = fields.TimeField(allow_null=True, help_text="All that was posted before is in the figures.")
    cost_as_of = fields.TimeField(allow_null=True, help_text="Allocations are costs as they stood then.")
    rows = serializers.SerializerMethodField(help_text="Null until it is ready.")
    totals = serializers.SerializerMethodField(help_text="Over all rows, whatever updated_since leaves out.")
    mails = serializers.SerializerMethodField()
    created_at = fields.TimeField()

    def get_period(self, report: Report) -> str:
        """The two days."""
        return f"{report.first_day},{report.last_day}"

    @extend_schema_field(fields.CurrencyField)
    def get_currency(self, report: Report) -> str:
        """The base currency that it was computed in."""
        return report.totals.get("currency", report.workspace.base_currency)

    @extend_schema_field(RowSerializer(many=True, allow_null=True))
    def get_rows(self, report: Report) -> list[dict[str, Any]] | None:
        """As they are stored: their numbers are never written in another way."""
        return ordered(report, self.context["view"].shown_rows(report)) if report.computed_at else None

    @extend_schema_field(FiguresSerializer(allow_null=True))
    def get_totals(self, report: Report) -> dict[str, Any] | None:
        """As they are stored."""
        return {name: report.totals[name] for name in FIGURES} if report.computed_at else None

    @extend_schema_field(MailSerializer(many=True))
    def get_mails(self, report: Report) -> list[dict[str, Any]]:
        """In the order of the recipients."""
        is_mailed = report.origin == ReportOrigin.SCHEDULED
        mails = report.mails.order_by("created_at", "id") if is_mailed else []
        return [dict(each) for each in MailSerializer(mails, many=True).data]


def ordered(report: Report, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with their columns in the order of the CSV; the table keeps no order of members."""
    names = columns(report.type, report.group_by)
    return [{name: row[name] for name in names} for row in rows]


class QuestionSerializer(StrictSerializer):
    """What a report is to say."""

    report_type = fields.ChoiceField(choices=ReportType.values, source="type", required=False)
    group_by = fields.ChoiceField(
        choices=ReportGroup.values, required=False, help_text="Default channel for channel_breakdown, else partner."
    )
    period = PeriodField(max_length=21, required=False, help_text="Default 30d.")
    format = fields.ChoiceField(choices=ReportFormat.values, required=False)
    attribution_model = fields.ChoiceField(choices=AttributionModel.values, required=False)
    filters = FiltersSerializer(required=False)

    def to_internal_value(self, data: Any) -> Any:
        """Parsed fields; filters that are set, as texts."""
        values = super().to_internal_value(data)
        if "filters" in values:
            values["filters"] = {name: text for name, text in values["filters"].items() if text is not None}
        return values
