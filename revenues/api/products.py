"""`/api/v1/products`: what revenue can refer to; archived rather than deleted."""

from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.batch import batch_records, run_batch
from alliantra.api.filters import SearchFilter, StrictFilterSet, TextFilter
from alliantra.api.schema import batch_request
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import ConfigurationViews, taken
from alliantra.errors import Invalid
from revenues import services
from revenues.models import Product, ProductStatus
from revenues.product_figures import with_revenue_count

NAMED = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "format": "uuid"}}}


@extend_schema_field({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 60}, "maxItems": 50})
class TagsField(serializers.ListField):
    """Labels, each once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"child": fields.TextField(max_length=60), "max_length": 50, **kwargs})


class ProductSerializer(StrictSerializer):
    """Something sold."""

    id = serializers.UUIDField(read_only=True)
    external_id = fields.TextField(max_length=200, allow_null=True, required=False)
    name = fields.TextField(max_length=200)
    category = fields.TextField(max_length=60, allow_blank=True, required=False)
    tags = TagsField(required=False)
    status = fields.ChoiceField(choices=ProductStatus.values, default=ProductStatus.ACTIVE)
    revenue_count = serializers.IntegerField(read_only=True, help_text="Rows of the ledger that belong to it.")
    metadata = fields.MetadataField(required=False)
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)


class TagFilter(TextFilter):
    """Rows that bear the tag."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Array containment."""
        return qs.filter(tags__contains=[value]) if value else qs


class ProductFilter(StrictFilterSet):
    """Filters of the list of products."""

    status = django_filters.ChoiceFilter(choices=ProductStatus.choices)
    category = TextFilter()
    tag = TagFilter()
    external_id = TextFilter()
    search = SearchFilter()


class ProductViews(ConfigurationViews):
    """Products are what revenue refers to: items, subscriptions, services, titles of a catalogue.

    Rows of the ledger whose `external_product_identifier` equals a product's `external_id` belong to
    it, whichever came first. Deleting archives: what was sold keeps its product. `category` is one of
    the `category_options`, which are settings of the workspace.
    """

    model = Product
    resource = "products"
    example = {
        "external_id": "sku_annual_pro",
        "name": "Annual Pro Plan",
        "category": "saas_subscription",
        "tags": ["annual"],
        "revenue_count": 12,
        "metadata": {"owner": "growth"},
        "label": "SaaS Subscription",
        "operation": "create_or_update",
    }
    serializer_class = ProductSerializer
    filterset_class = ProductFilter
    envelope_members: ClassVar[dict[str, Any]] = {
        "category_options": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "label"],
                "properties": {"name": {"type": "string"}, "label": {"type": "string"}},
            },
        }
    }

    def prepare(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Add revenue_count, from the rollups."""
        return with_revenue_count(rows, self.workspace)

    def extra_members(self) -> dict[str, Any]:
        """The workspace's categories."""
        return {"category_options": self.workspace.category_options}

    def create_row(self, values: dict[str, Any]) -> Product:
        """Create through the service."""
        return services.create_product(actor=self.actor, **values)

    def update_row(self, row: Product, values: dict[str, Any]) -> Product:
        """Update through the service."""
        return services.update_product(row, actor=self.actor, **values)

    @extend_schema(request=None, responses={200: ProductSerializer})
    def destroy(self, request: Request, id: UUID) -> Response:  # noqa: A002
        """Archive a product."""
        return self.answered(self._archived(id))

    @extend_schema(request={"application/json": batch_request(NAMED, 100)}, responses={200: ProductSerializer})
    def batch_destroy(self, request: Request) -> Response:
        """Archive up to 100 products, each named by its id."""
        records = batch_records(request.data)
        return Response(
            run_batch(records, lambda record: (200, self.represented(self._archived_record(record))), request)
        )

    def _archived_record(self, record: Any) -> Product:
        identity, others = taken(record, "id")
        if others:
            raise Invalid.field(f"/{min(others)}", "unknown_field")
        return self._archived(identity)

    def _archived(self, identity: Any) -> Product:
        row: Product = services.archive_product(self.locked_object(identity), actor=self.actor)
        return self._reread(row)
