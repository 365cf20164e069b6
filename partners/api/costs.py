"""`/v1/costs`: what partners cost beside what is allocated to their payees."""

from typing import Any, Final
from uuid import UUID

import django_filters
from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.timezone import now
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.batch import batch_records, run_batch
from alliantra.api.filters import DateFilter, StrictFilterSet, TextFilter, UpdatedSinceFilter
from alliantra.api.pagination import ChangeCursors
from alliantra.api.parsers import refuse_body
from alliantra.api.schema import COMPLETE, batch_answer, complete
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import WriteViews
from partners.models import Cost, CostKind, Partner
from partners.recipients import read_id
from partners.services.costs import create_cost, delete_cost, update_cost

BATCH_LIMIT: Final = 1_000


class PartnerNameField(fields.TextField):
    """A partner of the workspace by our id or its external id; the parsed value is the row. Written as our id."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """The partner; our id comes first, should it also be somebody's external id."""
        name = super().run_validation(data)
        partners = Partner._default_manager.filter(workspace=self.context["workspace"])
        by_id = partners.filter(pk=identity).first() if (identity := read_id(name)) else None
        return by_id or partners.filter(external_id=name).first() or self.refuse("partner_not_found")

    def to_representation(self, value: Any) -> str:
        """The id."""
        return str(getattr(value, "pk", value))


class CostSerializer(StrictSerializer):
    """What a partner cost in a period, counted evenly over its days."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, allow_null=True, required=False)
    partner_id = PartnerNameField(
        max_length=200, source="partner", help_text="Our id of the partner, or its external id; answered as our id."
    )
    partner_external_id = serializers.CharField(source="partner.external_id", read_only=True, allow_null=True)
    kind = fields.ChoiceField(choices=CostKind.values, required=False, help_text=f"Default {CostKind.OTHER.value}.")
    period_start = fields.DateField()
    period_end = fields.DateField(help_text="Included. A cost covers at most 1,100 days.")
    amount = fields.MoneyNumberField(help_text="Not zero; negative for a credit note.")
    currency = fields.CurrencyField(required=False, help_text="Default: the base currency.")
    note = fields.TextField(max_length=500, allow_blank=True, required=False)
    rate = fields.MoneyNumberField(read_only=True, help_text="1 for the base currency.")
    rate_on = fields.DateField(
        read_only=True, allow_null=True, help_text="The day of the rate; null for the base currency."
    )
    base_amount = fields.MoneyNumberField(read_only=True, help_text="In the base currency, frozen when recorded.")
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)


_UP_TO_LIMIT: dict[str, Any] = {"min_length": 1, "max_length": BATCH_LIMIT}


class CostBatchSerializer(StrictSerializer):
    """Many costs at once."""

    records = CostSerializer(many=True, **_UP_TO_LIMIT)


class PartnerNameFilter(TextFilter):
    """A partner by our id or its external id."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Rows of the partner."""
        return qs.filter(Q(partner__external_id=value) | Q(partner_id=read_id(value))) if value else qs


class CostFilter(StrictFilterSet):
    """Filters of the list of costs; a period takes every cost that has a day in it."""

    partner_id = PartnerNameFilter()
    kind = django_filters.ChoiceFilter(choices=CostKind.choices)
    currency = TextFilter()
    external_id = TextFilter()
    period_from = DateFilter(field_name="period_end", lookup_expr="gte")
    period_to = DateFilter(field_name="period_start", lookup_expr="lte")
    updated_since = UpdatedSinceFilter()


COST: Final = complete({"data": {"$ref": "#/components/schemas/Cost"}})
_SENT: Final = PolymorphicProxySerializer("CostBody", [CostSerializer, CostBatchSerializer], None)


class CostViews(WriteViews):
    """Costs beside allocations: fees, media, bonuses. A partner's `cost` and `roi` count them day by day.

    A cost in another currency counts at the rate of its first day, which must be recorded before it: else it is
    refused with `rate_missing`. Sending `amount`, `currency` or a date again converts it at today's record of rates.
    """

    model = Cost
    resource = "partners"
    serializer_class = CostSerializer
    filterset_class = CostFilter
    paging = ChangeCursors("created_at", "id")
    example = {
        "external_id": "invoice-881",
        "partner_id": "0198c5b2-7d1e-7c3a-9f4b-2a6d8e1c5f70",
        "partner_external_id": "p_lighthouse",
        "kind": "media",
        "period_start": "2026-05-01",
        "period_end": "2026-05-31",
        "amount": 1250,
        "currency": "USD",
        "note": "Summer campaign",
        "rate": 0.7432,
        "rate_on": "2026-04-30",
        "base_amount": 929,
    }

    @property
    def body_limit(self) -> int:
        """Any POST may be a batch."""
        return settings.BATCH_BODY_LIMIT_BYTES if self.action == "create" else super().body_limit

    def prepare(self, rows: QuerySet[Cost]) -> QuerySet[Cost]:
        """With the partner that each names."""
        return rows.select_related("partner")

    def create_row(self, values: dict[str, Any]) -> Cost:
        """Create through the service."""
        return create_cost(actor=self.actor, now=now(), **values)

    def update_row(self, row: Cost, values: dict[str, Any]) -> Cost:
        """Update through the service."""
        return update_cost(row, actor=self.actor, now=now(), **values)

    @extend_schema(request=_SENT, responses={201: CostSerializer, 200: {"anyOf": [batch_answer(COST)], COMPLETE: True}})
    def create(self, request: Request) -> Response:
        """Record what a partner cost, or `{"records": [...]}` with up to 1,000 costs.

        One answers 201; many answer 200 with a result for each, and each lands or fails alone.
        """
        if isinstance(request.data, dict) and "records" in request.data:
            records = batch_records(request.data, BATCH_LIMIT)
            return Response(run_batch(records, self._created, request, BATCH_LIMIT))
        return super().create(request)

    def _created(self, record: Any) -> tuple[int, Any]:
        return 201, self.represented(self.create_row(self.validated(record)))

    @extend_schema(request=None, responses={204: None})
    def remove(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Delete one cost, and what its days counted."""
        refuse_body(request)
        delete_cost(self.locked_object(id), actor=self.actor)
        return Response(status=204)
