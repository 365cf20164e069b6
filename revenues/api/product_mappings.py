"""`/api/v1/product-mappings`: identifiers of sources that match no product, and what they stand for."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alliantra.api import fields
from alliantra.api.filters import ReferenceFilter, StrictFilterSet
from alliantra.api.serializers import StrictSerializer
from alliantra.api.viewsets import WriteViews
from revenues import services
from revenues.models import Product, ProductMapping, RevenueSource
from revenues.product_figures import unmapped_identifiers


class UnmappedSerializer(serializers.Serializer):
    """An identifier of a source that matches no product and is not ignored."""

    revenue_source_id = serializers.UUIDField(source="source_id")
    external_product_identifier = serializers.CharField()
    revenue_count = serializers.IntegerField(help_text="Rows of the ledger that bear it.")
    first_occurred_at = fields.TimeField()
    last_occurred_at = fields.TimeField()


class ProductMappingSerializer(StrictSerializer):
    """What an identifier of a source stands for; `product_id` null: it is ignored."""

    id = serializers.UUIDField(read_only=True)
    revenue_source_id = fields.ReferenceField(RevenueSource, source="source")
    external_product_identifier = fields.TextField(max_length=200)
    product_id = fields.ReferenceField(Product, source="product", allow_null=True)
    created_at = fields.TimeField(read_only=True)
    updated_at = fields.TimeField(read_only=True)


class UnmappedFilter(StrictFilterSet):
    """Filters of the list of unmapped identifiers."""

    revenue_source_id = ReferenceFilter(field_name="source_id")


class ProductMappingViews(WriteViews):
    """Product mappings say which product an external product identifier stands for, per revenue source.

    An identifier equal to a product's `external_id` needs none. Rows already in the ledger follow,
    except that nothing changes in what was calculated and locked.
    """

    model = ProductMapping
    resource = "products"
    example = {"external_product_identifier": "ANNUAL-PRO-OLD"}
    serializer_class = ProductMappingSerializer
    filterset_class = UnmappedFilter

    @extend_schema(responses={200: UnmappedSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """Identifiers that match no product, with how many rows bear them."""
        rows = UnmappedFilter(self.request.query_params, unmapped_identifiers(self.workspace), request=self.request).qs
        return self.listed(rows, UnmappedSerializer)

    def create(self, request: Request) -> Response:
        """Map an identifier to a product, or to null to ignore it; a second call changes the first."""
        values = self.validated(request.data)
        mapping = services.map_identifier(self.workspace, actor=self.actor, **values)
        return self.answered(mapping, status=201)
