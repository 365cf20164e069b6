"""`/api/v1/revenues`: the ledger in the words of the payout surface, append-only."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from alliantra.api import fields
from alliantra.api.batch import BATCH_LIMIT
from alliantra.api.filters import DateFilter, ReferenceFilter, SearchFilter, StrictFilterSet
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ReadViews
from alliantra.money import MINOR_UNITS
from revenues.api.answers import CREATED, SKIPPED, batch_answer, revenue_answer, single_answer
from revenues.api.bodies import JSON, media_type
from revenues.api.pages import LedgerPages
from revenues.ingestion import decoding, services
from revenues.ingestion.records import TEXT_LENGTHS
from revenues.models import RevenueEvent, RevenueType


class TextOrNull(fields.TextField):
    """Text that is written as null where there is none."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(
            **{"allow_null": True, "allow_blank": True, "required": False, **kwargs}, max_length=TEXT_LENGTHS[name]
        )

    def to_representation(self, value: str) -> str | None:
        """The text."""
        return value or None


class RevenueSerializer(StrictSerializer):
    """A sale, refund or adjustment."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, required=False, allow_null=True)
    revenue_source_id = serializers.UUIDField(source="source_id", required=False, allow_null=True)
    external_product_identifier = TextOrNull("external_product_identifier")
    product_id = serializers.UUIDField(read_only=True, allow_null=True)
    type = fields.ChoiceField(choices=RevenueType.values)
    amount = fields.MoneyTextField(help_text="Positive for a sale, negative for a refund.")
    currency = fields.CurrencyField()
    occurred_at = fields.TimeField(required=False, allow_null=True)
    partner_id = serializers.UUIDField(required=False, allow_null=True)
    partner_external_id = fields.TextField(
        source="partner.external_id", max_length=200, required=False, allow_null=True, default=None
    )
    payee_hint = TextOrNull("payee_hint")
    territory = TextOrNull("territory")
    original_external_id = TextOrNull("original_external_id")
    reason = TextOrNull("reason")
    metadata = fields.MetadataField(required=False, allow_null=True)
    created_at = fields.TimeField(read_only=True)


class PostedRevenueSerializer(RevenueSerializer):
    """A row that was just posted, or that stood there before."""

    outcome = serializers.ChoiceField(choices=[CREATED, SKIPPED], read_only=True)
    differences = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="With skipped_duplicate: names of the fields that were sent with another value.",
    )


class RevenueFilter(StrictFilterSet):
    """Filters of the list of revenues."""

    type = django_filters.ChoiceFilter(choices=RevenueType.choices)
    revenue_source_id = ReferenceFilter(field_name="source_id")
    currency = django_filters.ChoiceFilter(choices=[(code, code) for code in sorted(MINOR_UNITS)])
    date_from = DateFilter(method="from_day")
    date_to = DateFilter(method="to_day")
    search = SearchFilter()
    product_id = ReferenceFilter()
    partner_id = ReferenceFilter()

    def from_day(self, rows: Any, _name: str, day: Any) -> Any:
        """From this day of the workspace's time zone on."""
        return rows.occurred_between(self.request.user.workspace, day, None)

    def to_day(self, rows: Any, _name: str, day: Any) -> Any:
        """Up to and with this day of the workspace's time zone."""
        return rows.occurred_between(self.request.user.workspace, None, day)


POSTED = {200: PostedRevenueSerializer, 201: PostedRevenueSerializer}


class RevenueViews(ReadViews):
    """Revenues are sales, refunds and adjustments, as their source reported them.

    They cannot be changed or deleted: correct one with a refund or an adjustment. `external_id` makes
    a post idempotent within its revenue source: sent again, it answers 200 with `outcome`
    `skipped_duplicate`, the record that was there, and the names of the fields that differ.
    """

    model = RevenueEvent
    resource = "revenues"
    example = {
        "external_id": "invoice_123",
        "external_product_identifier": "sku_annual_pro",
        "partner_external_id": "p_lighthouse",
        "territory": "United Kingdom",
        "payee_hint": None,
        "original_external_id": None,
        "reason": None,
        "metadata": {"campaign": "spring"},
        "outcome": "created",
    }
    serializer_class = RevenueSerializer
    filterset_class = RevenueFilter
    paging = LedgerPages(25)

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Rows that move money, with what a page shows of their partner."""
        return rows.filter(amount__isnull=False).select_related("partner")

    @extend_schema(responses=POSTED)
    def create(self, request: Request) -> HttpResponse:
        """Post one sale, refund or adjustment."""
        media_type(request)
        record = decoding.REVENUES.one(self.raw_body(request))
        [outcome] = services.ingest_revenues(self.workspace, actor=self.actor, records=[record], now=now())
        status, body = single_answer(outcome, revenue_answer)
        return HttpResponse(body, status=status, content_type=JSON)

    @extend_schema(responses={200: PostedRevenueSerializer})
    def batch_create(self, request: Request) -> HttpResponse:
        """Post up to 100 records; each lands, is skipped as a duplicate, or fails alone."""
        media_type(request)
        decoded = decoding.REVENUES.batch(self.raw_body(request), limit=BATCH_LIMIT)
        outcomes = services.ingest_revenues(self.workspace, actor=self.actor, records=decoded.records, now=now())
        return HttpResponse(batch_answer(outcomes, revenue_answer, request, limit=BATCH_LIMIT), content_type=JSON)
