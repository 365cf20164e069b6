"""`/api/v1/revenue-sources`: where revenue comes from."""

from typing import Any

from rest_framework import serializers

from alliantra.api import fields
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import WriteViews
from revenues import services
from revenues.models import RevenueSource, SourceKind


class RevenueSourceSerializer(StrictSerializer):
    """An origin of revenue."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, allow_null=True, required=False)
    name = fields.TextField(max_length=100)
    kind = fields.ChoiceField(choices=SourceKind.values, default=SourceKind.API)
    currency = fields.CurrencyField(allow_null=True, required=False)
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)


class RevenueSourceViews(WriteViews):
    """Revenue sources are spaces of external ids: the same id in two sources is two records.

    Every workspace starts with one named `API`, which takes what names no source.
    """

    model = RevenueSource
    resource = "revenues"
    example = {"external_id": "shop_uk", "name": "UK shop", "kind": "integration", "currency": "GBP"}
    serializer_class = RevenueSourceSerializer

    def create_row(self, values: dict[str, Any]) -> RevenueSource:
        """Create through the service."""
        return services.create_source(actor=self.actor, **values)

    def update_row(self, row: RevenueSource, values: dict[str, Any]) -> RevenueSource:
        """Update through the service."""
        return services.update_source(row, actor=self.actor, **values)
