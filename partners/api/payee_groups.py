"""`/api/v1/payee-groups`: payees that share one allocation by weight."""

from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alliantra.api import fields
from alliantra.api.filters import ReferenceFilter, SearchFilter, StrictFilterSet, TextFilter
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ConfigurationViews
from partners import services
from partners.models import PayeeGroup

WEIGHT_LIMIT = 1_000_000


@extend_schema_field({"type": "number", "exclusiveMinimum": 0, "maximum": WEIGHT_LIMIT})
class WeightField(fields.DecimalTextMixin):
    """What a member weighs, as a JSON number; only proportions matter."""

    def check_range(self, amount: Decimal) -> Decimal:
        """Refuse what weighs nothing, or absurdly much."""
        if not 0 < amount <= WEIGHT_LIMIT:
            self.refuse("out_of_range", f"Expected more than 0 and at most {WEIGHT_LIMIT:,}.")
        return amount

    def to_representation(self, value: Decimal) -> Decimal | int:
        """`1`, `2.5`."""
        return fields.plain_number(Decimal(value))


class MemberSerializer(StrictSerializer):
    """A payee of the group and its weight."""

    payee_id = fields.IdField(max_length=100)
    weight = WeightField(default=Decimal(1))


class PayeeGroupSerializer(StrictSerializer):
    """Payees that share one allocation by weight."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, allow_null=True, required=False)
    name = fields.TextField(max_length=200)
    members = serializers.ListField(
        child=MemberSerializer(), min_length=1, max_length=services.MEMBERS_LIMIT, help_text="Replaced as a whole."
    )
    metadata = fields.MetadataField(required=False)
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)

    def to_representation(self, group: PayeeGroup) -> dict[str, Any]:
        """The members in their order."""
        own = {name: getattr(group, name) for name in ("id", "external_id", "name", "metadata")}
        times = {name: getattr(group, name) for name in ("created_at", "updated_at")}
        return super().to_representation({**own, "members": list(group.members.all()), **times})


class PayeeGroupFilter(StrictFilterSet):
    """Filters of the list of payee groups."""

    external_id = TextFilter()
    payee_id = ReferenceFilter(field_name="members__payee_id")
    search = SearchFilter()


class PayeeGroupViews(ConfigurationViews):
    """Payee groups stand in a rule's allocation in the place of one payee; the share is split by weight.

    A rule version keeps the members as they were when it was saved. To let a rule take on changed
    members, save the rule again.
    """

    model = PayeeGroup
    resource = "payees"
    serializer_class = PayeeGroupSerializer
    filterset_class = PayeeGroupFilter
    example = {
        "external_id": "band_001",
        "name": "The Northwinds",
        "weight": 2,
        "metadata": {"contract": "2026-18"},
        "operation": "create_or_update",
    }

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """With their members."""
        return rows.with_members()  # type: ignore[attr-defined]

    def create_row(self, values: dict[str, Any]) -> PayeeGroup:
        """Create through the service."""
        return services.create_payee_group(actor=self.actor, **values)

    def update_row(self, row: PayeeGroup, values: dict[str, Any]) -> PayeeGroup:
        """Update through the service."""
        return services.update_payee_group(row, actor=self.actor, **values)
