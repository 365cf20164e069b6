"""`/v1/partners`: the core entity of the intelligence surface, with what each brought."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import django_filters
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.filters import SearchFilter, StrictFilterSet, TextFilter, UpdatedSinceFilter
from alliantra.api.pagination import ChangeCursors
from alliantra.api.periods import PERIOD_SCHEMA
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ConfigurationViews
from partners import services
from partners.api.expansions import EVENTS_INCLUDED, INCLUDE_PATTERN, INCLUDES, Expansions
from partners.api.performance import SORTS, Performances, PerformanceSerializer
from partners.models import Partner, PartnerStatus, PartnerType
from revenues.api.event_reads import CreditedEventSerializer
from revenues.models import AttributionModel


class PartnerSerializer(StrictSerializer):
    """An organisation or person that brings revenue."""

    answered_only = frozenset(INCLUDES)
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
    ai_signals = serializers.ListField(required=False, help_text="With include=ai_signals.")
    forecast = serializers.DictField(required=False, allow_null=True, help_text="With include=forecast.")
    events = CreditedEventSerializer(
        many=True,
        required=False,
        help_text=f"With include=events: the latest {EVENTS_INCLUDED} of its list of events.",
    )
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)

    def to_representation(self, instance: Partner) -> dict[str, Any]:
        """The partner, with the expansions that the request asks for."""
        view: PartnerViews = self.context["view"]
        expansions = view.expansions.of(instance)
        plain = super().to_representation(instance)
        return {**{name: value for name, value in plain.items() if name not in INCLUDES}, **expansions}

    @extend_schema_field(PerformanceSerializer)
    def get_performance(self, partner: Partner) -> Any:
        """Figures of the period that the view read for the whole page."""
        view: PartnerViews = self.context["view"]
        return view.performances.of(partner)


class PartnerFilter(StrictFilterSet):
    """Filters of the list of partners."""

    status = django_filters.ChoiceFilter(choices=PartnerStatus.choices)
    type = django_filters.ChoiceFilter(choices=PartnerType.choices)
    program = TextFilter()
    channel = TextFilter()
    region = TextFilter()
    external_id = TextFilter()
    search = SearchFilter()
    updated_since = UpdatedSinceFilter()


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
    paging = ChangeCursors()
    query_parameters = {
        "period": PERIOD_SCHEMA,
        "sort": {"type": "string", "enum": list(SORTS), "default": SORTS[0]},
        "include": {"type": "string", "pattern": INCLUDE_PATTERN, "description": "One or more, between commas."},
        "attribution_model": {"type": "string", "enum": AttributionModel.values, "default": AttributionModel.values[0]},
    }

    def list(self, request: Request) -> Response:
        """Partners by revenue, roi, score or growth in the period, the largest first.

        With `updated_since` and without `sort`, those that changed since then, in the order of their changes.
        """
        rows = self.filterset_class(request.query_params, self.get_queryset(), request=request).qs
        if "updated_since" in request.query_params:
            if "sort" not in request.query_params:
                return self.listed(rows)
            rows = self.paging.settled(rows)
        ranked = self.performances.ranked(list(rows.values_list("pk", flat=True)))
        ids, page = self.paging.paginate_ranked(ranked, request)
        found = {partner.pk: partner for partner in rows.filter(pk__in=ids)}
        return self.answered_page([found[identity] for identity in ids if identity in found], page)

    def create_row(self, values: dict[str, Any]) -> Partner:
        """Create through the service."""
        return services.create_partner(actor=self.actor, **values)

    def update_row(self, row: Partner, values: dict[str, Any]) -> Partner:
        """Update through the service."""
        return services.update_partner(row, actor=self.actor, **values)

    @cached_property
    def performances(self) -> Performances:
        """What the request asks to know of partners."""
        return Performances(self.workspace, self.request, now())

    def listed_rows(self, rows: Sequence[Partner]) -> None:
        """Read the figures of a page before it is written."""
        self.performances.read(rows)
        self.expansions.read(rows)

    @cached_property
    def expansions(self) -> Expansions:
        """What the request asks to be answered beside."""
        return Expansions(self.request, self.performances.period, self.performances.model)
