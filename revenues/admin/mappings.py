"""Pages of product mappings, and the queue of identifiers that have none."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ConsoleAdmin
from alliantra.workspaces.console.filters import (
    RelatedFilter,
)
from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.session import workspace_of
from alliantra.workspaces.console.theme import TextInput
from revenues import services
from revenues.models import ProductMapping, RevenueEvent

QUEUE_SHOWN = 200


class ProductMappingForm(ConsoleForm):
    """What an identifier of a source stands for."""

    class Meta:
        model = ProductMapping
        fields = ("source", "external_product_identifier", "product")
        help_texts: ClassVar[dict[str, str]] = {
            "external_product_identifier": "Exactly as the source sends it.",
            "product": "Rows already in the ledger follow. Leave empty to mark the identifier as ignored.",
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {"external_product_identifier": TextInput()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in () if self.is_new else ("source", "external_product_identifier"):
            if name in self.fields:
                self.fields[name].disabled = True


@admin.register(ProductMapping)
class ProductMappingAdmin(ConsoleAdmin[ProductMapping]):
    """Product mappings, and the queue of identifiers that have none."""

    resource = "products"
    may_add = may_change = True
    form = ProductMappingForm
    autocomplete_fields = ("source", "product")
    list_display = ("identifier_", "source", "product_", "changed")
    list_filter = (("source", RelatedFilter), ("product", RelatedFilter))
    list_select_related = ("source", "product")
    search_fields = ("external_product_identifier",)
    search_help_text = "Identifier"
    ordering = ("external_product_identifier", "id")
    list_before_template = "admin/console/unmapped_link.html"

    def get_urls(self) -> list[URLPattern]:
        """And the queue."""
        queue = path(
            "unmapped/", self.admin_site.admin_view(self.unmapped_view), name="revenues_productmapping_unmapped"
        )
        return [queue, *super().get_urls()]

    def unmapped_view(self, request: HttpRequest) -> HttpResponse:
        """Identifiers in the ledger that stand for no product, the most frequent first."""
        if not self.may_read(request):
            raise PermissionDenied
        context = {
            "title": "Unmapped identifiers",
            "rows": unmapped(request)[:QUEUE_SHOWN],
            "may_map": self.has_add_permission(request),
        }
        return self.page(request, "admin/console/unmapped.html", context)

    def create_row(self, actor: Actor, form: ConsoleForm) -> ProductMapping:
        """Map an identifier, or ignore it."""
        return services.map_identifier(actor.workspace, actor=actor, **form.cleaned_data)

    def update_row(self, row: ProductMapping, actor: Actor, form: ConsoleForm) -> ProductMapping:
        """Map it to another product."""
        return services.map_identifier(
            actor.workspace,
            actor=actor,
            source=row.source,
            external_product_identifier=row.external_product_identifier,
            product=form.cleaned_data["product"],
        )

    @admin.display(description="identifier", ordering="external_product_identifier")
    def identifier_(self, row: ProductMapping) -> SafeString | str:
        """As the source sends it."""
        return display.identifier(row.external_product_identifier)

    @admin.display(description="product", ordering="product__name")
    def product_(self, row: ProductMapping) -> SafeString | str:
        """The product, or that it is ignored."""
        return display.link(row.product) if row.product else display.badge("plain", "ignored")

    @admin.display(description="changed", ordering="updated_at")
    def changed(self, row: ProductMapping) -> SafeString | str:
        """When it was last mapped."""
        return display.moment(row.updated_at)


def unmapped(request: HttpRequest) -> Any:
    """Source, identifier and number of rows, without identifiers marked as ignored."""
    workspace = workspace_of(request)
    ignored = ProductMapping.objects.in_workspace(workspace).filter(
        source=OuterRef("source"), external_product_identifier=OuterRef("external_product_identifier")
    )
    rows = RevenueEvent.objects.in_workspace(workspace).filter(product=None).exclude(external_product_identifier="")
    grouped = rows.values("source_id", "source__name", "external_product_identifier").annotate(count=Count("id"))
    return grouped.filter(~Exists(ignored)).order_by("-count", "external_product_identifier")
