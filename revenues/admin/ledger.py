"""Pages of the ledger and of the sources it comes from."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ConsoleAdmin, ReadOnlyAdmin
from alliantra.workspaces.console.filters import (
    AfterBeforeFilter,
    ChoicesFilter,
    PartFilter,
    RelatedFilter,
)
from alliantra.workspaces.console.forms import EXTERNAL_ID_HELP, ConsoleForm
from alliantra.workspaces.console.session import workspace_of
from revenues import services
from revenues.admin.credits import conversion_of, credits_of
from revenues.models import RevenueEvent, RevenueSource


class RevenueSourceForm(ConsoleForm):
    """What people decide about a source."""

    class Meta:
        model = RevenueSource
        fields = ("name", "external_id", "kind", "currency")
        help_texts: ClassVar[dict[str, str]] = {
            "name": "External ids of revenue are unique inside a source, for ever.",
            "external_id": EXTERNAL_ID_HELP,
            "currency": "ISO 4217 code of rows that name none, such as EUR. Leave empty for the base currency.",
        }

    def clean_currency(self) -> str | None:
        """Capital letters."""
        currency = self.cleaned_data["currency"]
        return currency.upper() if currency else None


@admin.register(RevenueSource)
class RevenueSourceAdmin(ConsoleAdmin[RevenueSource]):
    """Where revenue comes from."""

    resource = "revenues"
    may_add = may_change = True
    form = RevenueSourceForm
    list_display = ("name", "external_id_", "kind", "currency", "created")
    list_filter = (("kind", ChoicesFilter),)
    search_fields = ("name", "external_id")
    search_help_text = "Name or external id"
    ordering = ("name", "id")

    def create_row(self, actor: Actor, form: ConsoleForm) -> RevenueSource:
        """Add a source."""
        return services.create_source(actor=actor, **form.cleaned_data)

    def update_row(self, row: RevenueSource, actor: Actor, form: ConsoleForm) -> RevenueSource:
        """Change a source."""
        return services.update_source(row, actor=actor, **form.changes())

    @admin.display(description="external id", ordering="external_id")
    def external_id_(self, row: RevenueSource) -> SafeString | str:
        """The external id."""
        return display.identifier(row.external_id)

    @admin.display(description="added", ordering="created_at")
    def created(self, row: RevenueSource) -> SafeString | str:
        """When it was added."""
        return display.moment(row.created_at)


@admin.register(RevenueEvent)
class RevenueEventAdmin(ReadOnlyAdmin[RevenueEvent]):
    """The ledger. Rows are never changed; what was wrong is put right by a further row."""

    resource = "revenues"
    when_empty = "Revenue comes in by the API, or from a file: see Imports."
    change_form_template = "admin/console/revenue.html"
    list_display = ("external_id_", "occurred", "type_", "amount_", "partner_", "product_", "source")
    list_filter = (
        ("occurred_at", AfterBeforeFilter),
        ("type", ChoicesFilter),
        ("event_type", ChoicesFilter),
        ("source", RelatedFilter),
        ("partner", RelatedFilter),
        ("product", RelatedFilter),
        ("import_batch", RelatedFilter),
        ("currency", PartFilter),
    )
    list_select_related = ("partner", "product", "source")
    search_fields = ("external_id",)
    search_help_text = "External id, in full"
    sortable_by = ("occurred",)
    ordering = ("-occurred_at", "-id")
    readonly_fields = (
        "external_id_",
        "amount_",
        "type_",
        "event_type",
        "occurred",
        "source_",
        "partner_",
        "product_",
        "external_product_identifier",
        "customer_id",
        "payee_hint",
        "territory",
        "channel",
        "program",
        "original_external_id",
        "reason",
        "metadata_",
        "id_",
        "received",
        "import_",
    )
    fieldsets = (
        (None, {"fields": ("external_id_", "amount_", "type_", "event_type", "occurred")}),
        ("Belongs to", {"fields": ("source_", "partner_", "product_", "external_product_identifier", "payee_hint")}),
        (
            "Circumstances",
            {"fields": ("customer_id", "territory", "channel", "program", "original_external_id", "reason")},
        ),
        ("Record", {"fields": ("metadata_", "id_", "received", "import_")}),
    )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The row, what it counts in the base currency, who has credit for it, and why it was allocated as it was."""
        # rules stands above revenues, and its pages import models and tables of this application.
        from rules.admin.explanations import why_revenue

        row = self.get_object(request, object_id) if object_id and self.may_read(request) else None
        workspace = workspace_of(request)
        why = why_revenue(row, workspace) if row else {}
        worth = {**conversion_of(row, workspace), **credits_of(row, workspace)} if row else {}
        links = [{"address": "#why", "icon": "help", "label": "Why"}] if why else []
        if "credits" in worth:
            links.append({"address": "#credits", "icon": "share", "label": "Credit"})
        may_write_rates = self.may_write(request)
        context = {**why, **worth, "may_write_rates": may_write_rates, "links": links, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RevenueEvent], search_term: str
    ) -> tuple[QuerySet[RevenueEvent], bool]:
        """Rows with exactly this external id: naming the sources lets the unique index answer."""
        term = search_term.replace("\x00", "").strip()
        if not term:
            return queryset, False
        sources = RevenueSource.objects.in_workspace(workspace_of(request)).values_list("pk", flat=True)
        return queryset.filter(source__in=list(sources), external_id=term), False

    @admin.display(description="occurred", ordering="occurred_at")
    def occurred(self, row: RevenueEvent) -> SafeString | str:
        """When it happened."""
        return display.moment(row.occurred_at)

    @admin.display(description="external id")
    def external_id_(self, row: RevenueEvent) -> SafeString | str:
        """Id in its source."""
        return display.identifier(row.external_id)

    @admin.display(description="type")
    def type_(self, row: RevenueEvent) -> SafeString | str:
        """What it does to money, or what happened."""
        return display.badge(row.type or row.event_type)

    @admin.display(description="amount")
    def amount_(self, row: RevenueEvent) -> SafeString | str:
        """Amount with its currency."""
        return display.amount(row.amount, row.currency)

    @admin.display(description="source")
    def source_(self, row: RevenueEvent) -> SafeString | str:
        """Link to the source."""
        return display.link(row.source)

    @admin.display(description="partner")
    def partner_(self, row: RevenueEvent) -> SafeString | str:
        """Link to the partner."""
        return display.link(row.partner)

    @admin.display(description="product")
    def product_(self, row: RevenueEvent) -> SafeString | str:
        """Link to the product."""
        return display.link(row.product)

    @admin.display(description="id")
    def id_(self, row: RevenueEvent) -> SafeString | str:
        """Our id."""
        return display.identifier(row.pk)

    @admin.display(description="received")
    def received(self, row: RevenueEvent) -> SafeString | str:
        """When it came in."""
        return display.moment(row.created_at)

    @admin.display(description="imported by")
    def import_(self, row: RevenueEvent) -> SafeString | str:
        """Link to the import that brought it."""
        return display.link(row.import_batch)
