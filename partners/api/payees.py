"""`/api/v1/payees`: recipients, their holds, thresholds and fallback percentages."""

from typing import Any

import django_filters
from rest_framework import serializers

from alliantra.api import fields
from alliantra.api.filters import BooleanFilter, ReferenceFilter, SearchFilter, StrictFilterSet, TextFilter
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ConfigurationViews
from partners import services
from partners.models import Partner, Payee, PayeeStatus, PayeeType


class PayeeSerializer(StrictSerializer):
    """A recipient of allocations."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, allow_null=True, required=False)
    name = fields.TextField(max_length=200)
    type = fields.ChoiceField(choices=PayeeType.values, default=PayeeType.COMPANY)
    status = fields.ChoiceField(choices=PayeeStatus.values, default=PayeeStatus.ACTIVE)
    contact_name = fields.TextField(max_length=200, allow_blank=True, required=False)
    contact_email = fields.EmailField(max_length=254, allow_blank=True, required=False)
    contact_phone = fields.TextField(max_length=50, allow_blank=True, required=False)
    address = fields.TextField(max_length=1000, allow_blank=True, required=False)
    currency = fields.CurrencyField(allow_null=True, required=False)
    partner_id = fields.ReferenceField(Partner, source="partner", allow_null=True, required=False)
    on_hold = fields.BooleanField(required=False)
    hold_reason = fields.TextField(max_length=500, allow_blank=True, required=False)
    minimum_payout = fields.NonNegativeMoneyTextField(required=False)
    fallback_percentage = fields.PercentageField(allow_null=True, required=False)
    metadata = fields.MetadataField(required=False)
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)


class PayeeFilter(StrictFilterSet):
    """Filters of the list of payees."""

    status = django_filters.ChoiceFilter(choices=PayeeStatus.choices)
    type = django_filters.ChoiceFilter(choices=PayeeType.choices)
    external_id = TextFilter()
    partner_id = ReferenceFilter()
    on_hold = BooleanFilter()
    search = SearchFilter()


class PayeeViews(ConfigurationViews):
    """Payees are the recipients that rules allocate revenue to.

    `external_id` is optional but recommended: it is the key of upserts. Holds and minimum payouts
    decide what a payout export includes; they never change what was calculated.
    """

    model = Payee
    resource = "payees"
    serializer_class = PayeeSerializer
    filterset_class = PayeeFilter
    example = {
        "external_id": "partner_001",
        "name": "Northwind Partner",
        "type": "affiliate",
        "contact_name": "Ada North",
        "contact_phone": "+44 20 7946 0000",
        "address": "1 Quay Street, Bristol",
        "currency": "GBP",
        "hold_reason": "",
        "minimum_payout": "25.000",
        "fallback_percentage": 5,
        "metadata": {"contract": "2026-17"},
        "operation": "create_or_update",
    }

    def create_row(self, values: dict[str, Any]) -> Payee:
        """Create through the service."""
        return services.create_payee(actor=self.actor, **values)

    def update_row(self, row: Payee, values: dict[str, Any]) -> Payee:
        """Update through the service."""
        return services.update_payee(row, actor=self.actor, **values)
