"""`/v1/partners`: the core entity of the intelligence surface, with what each brought."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.batch import batch_records, run_batch
from alliantra.api.filters import SearchFilter, StrictFilterSet, TextFilter
from alliantra.api.pagination import Cursors
from alliantra.api.periods import Period, parse_period
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ConfigurationViews
from alliantra.errors import DomainError
from partners import services
from partners.models import Partner, PartnerStatus, PartnerType
from revenues.figures import PartnerFigures, partner_figures, with_revenue

IMPORT_LIMIT = 1_000
SORTS = ("revenue",)


class PerformanceSerializer(serializers.Serializer):
    """What a partner brought in the asked period, in the workspace's base currency."""

    period = serializers.CharField(help_text="First and last day, both inclusive, in the workspace's time zone.")
    currency = fields.CurrencyField()
    revenue = fields.MoneyNumberField(help_text="Sales, refunds and adjustments, net.")
    conversions = serializers.IntegerField()
    registrations = serializers.IntegerField()
    events = serializers.IntegerField()


class PartnerSerializer(StrictSerializer):
    """An organisation or person that brings revenue."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, allow_null=True, required=False)
    name = fields.TextField(max_length=200)
    type = fields.ChoiceField(choices=PartnerType.values, default=PartnerType.AFFILIATE)
    status = fields.ChoiceField(choices=PartnerStatus.values, read_only=True)
    program = fields.TextField(max_length=100, allow_blank=True, required=False)
    channel = fields.TextField(max_length=100, allow_blank=True, required=False)
    region = fields.TextField(max_length=100, allow_blank=True, required=False)
    website = fields.TextField(max_length=300, allow_blank=True, required=False)
    metadata = fields.MetadataField(required=False)
    performance = serializers.SerializerMethodField()
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)

    @extend_schema_field(PerformanceSerializer)
    def get_performance(self, partner: Partner) -> dict[str, Any]:
        """Figures of the period that the view read for the whole page."""
        view: PartnerViews = self.context["view"]
        figures = view.figures_of(partner)
        performance = {
            "period": f"{view.period.first},{view.period.last}",
            "currency": view.workspace.base_currency,
            "revenue": figures.revenue,
            "conversions": figures.conversions,
            "registrations": figures.registrations,
            "events": figures.events,
        }
        return PerformanceSerializer(performance).data


class PartnerFilter(StrictFilterSet):
    """Filters of the list of partners."""

    status = django_filters.ChoiceFilter(choices=PartnerStatus.choices)
    type = django_filters.ChoiceFilter(choices=PartnerType.choices)
    program = TextFilter()
    channel = TextFilter()
    region = TextFilter()
    external_id = TextFilter()
    search = SearchFilter()


class PartnerViews(ConfigurationViews):
    """Partners aggregate what every connected source knows about them.

    `performance` covers the asked `period` and includes every event committed before the request.
    """

    model = Partner
    resource = "partners"
    serializer_class = PartnerSerializer
    filterset_class = PartnerFilter
    example = {
        "external_id": "p_lighthouse",
        "name": "Lighthouse Reviews",
        "program": "affiliates",
        "channel": "content",
        "region": "United Kingdom",
        "website": "lighthouse.example",
        "metadata": {"tier": "gold"},
        "period": "2026-05-02,2026-05-31",
        "currency": "GBP",
        "revenue": 1250.5,
    }
    paging = Cursors("-revenue", "id")
    query_parameters = {
        "period": {"type": "string", "default": "30d", "description": "7d, 30d, 90d or {start},{end}"},
        "sort": {"type": "string", "enum": list(SORTS), "default": SORTS[0]},
    }

    def prepare(self, rows: QuerySet[Partner]) -> QuerySet[Partner]:
        """Add the revenue that lists are sorted by."""
        return with_revenue(rows, self.workspace, first=self.period.first, last=self.period.last)

    def list(self, request: Request) -> Response:
        """Partners by revenue in the period, the largest first."""
        sort = request.query_params.get("sort", SORTS[0])
        if sort not in SORTS:
            message = f"sort must be one of {', '.join(SORTS)}."
            raise DomainError("invalid_parameter", message, parameter="sort")
        return super().list(request)

    def import_partners(self, request: Request) -> Response:
        """Create or update up to 1,000 partners by `external_id`; each lands or fails alone."""
        records = batch_records(request.data, IMPORT_LIMIT)
        return Response(run_batch(records, self._imported, request, IMPORT_LIMIT))

    def _imported(self, record: Any) -> tuple[int, Any]:
        operation = {"operation": "create_or_update"} if isinstance(record, dict) else {}
        return self._upserted({**record, **operation} if operation else record)

    def create_row(self, values: dict[str, Any]) -> Partner:
        """Create through the service."""
        return services.create_partner(actor=self.actor, **values)

    def update_row(self, row: Partner, values: dict[str, Any]) -> Partner:
        """Update through the service."""
        return services.update_partner(row, actor=self.actor, **values)

    @cached_property
    def _moment(self) -> datetime:
        return now()

    @property
    def period(self) -> Period:
        """The asked period, 30 days by default."""
        return parse_period(self.request.query_params.get("period", "30d"), self.workspace, self._moment)

    def figures_of(self, partner: Partner) -> PartnerFigures:
        """Figures of one partner; those of a whole page are read at once."""
        if partner.pk not in self._figures:
            self._read_figures([partner])
        return self._figures[partner.pk]

    @cached_property
    def _figures(self) -> dict[UUID, PartnerFigures]:
        return {}

    def listed_rows(self, rows: Sequence[Partner]) -> None:
        """Read the figures of a page before it is written."""
        self._read_figures(rows)

    def _read_figures(self, partners: Sequence[Partner]) -> None:
        ids = [partner.pk for partner in partners]
        found = partner_figures(self.workspace, ids, first=self.period.first, last=self.period.last)
        self._figures.update({identity: found.get(identity, PartnerFigures()) for identity in ids})
