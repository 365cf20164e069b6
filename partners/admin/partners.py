"""Pages of partners: the list with what each brought, the page of one, and its form."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter, ValueFilter
from alliantra.workspaces.console.forms import EXTERNAL_ID_HELP, ConsoleForm, MetadataField
from alliantra.workspaces.console.session import workspace_of
from partners import services
from partners.admin.evidence import SCORE_REASONS
from partners.admin.figures import PartnerList
from partners.admin.partner_page import partner_page
from partners.admin.periods import asked_of, period_choice
from partners.models import Partner


class PartnerForm(ConsoleForm):
    """What people decide about a partner; its status is computed."""

    metadata = MetadataField()

    class Meta:
        model = Partner
        fields = ("name", "external_id", "type", "program", "channel", "region", "website", "metadata")
        help_texts: ClassVar[dict[str, str]] = {
            "external_id": EXTERNAL_ID_HELP,
            "program": "Copied to new revenue of this partner; what was posted before keeps its own.",
            "channel": "Such as affiliate, referral or marketplace. Copied to new revenue, as the program is.",
            "region": "Where the partner works, in your own words.",
        }


@admin.register(Partner)
class PartnerAdmin(ConsoleAdmin[Partner]):
    """Partners."""

    resource = "partners"
    may_add = may_change = True
    form = PartnerForm
    when_empty = "Add them one by one, import a file of them, or let your systems send them by the API."
    list_display = (
        "name",
        "status_",
        "revenue_amount",
        "growth_amount",
        "cost_amount",
        "roi_amount",
        "score_amount",
        "channel",
        "region",
    )
    list_filter = (
        ("status", ChoicesFilter),
        ("type", ChoicesFilter),
        ("program", ValueFilter),
        ("channel", ValueFilter),
        ("region", ValueFilter),
    )
    list_before_template = "admin/console/partners_links.html"
    search_fields = ("name", "external_id")
    search_help_text = "Name or external id"
    ordering = ("name", "id")
    fieldsets = (
        (None, {"fields": ("name", "external_id", "type", "website")}),
        ("Where it belongs", {"fields": ("program", "channel", "region")}),
        ("Metadata", {"fields": ("metadata",)}),
    )

    def get_urls(self) -> list[URLPattern]:
        """And the form: the page itself shows what the partner brought."""
        view = self.admin_site.admin_view(self.settings_view)
        return [path("<uuid:object_id>/settings/", view, name="partners_partner_settings"), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PartnerList]:
        """The list that reads figures."""
        return PartnerList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the choice of its period."""
        context = {
            **period_choice(request, asked_of(request), with_model=False),
            "currency": workspace_of(request).base_currency,
            "may_import": self.may_write(request),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def create_row(self, actor: Actor, form: ConsoleForm) -> Partner:
        """Add a partner."""
        return services.create_partner(actor=actor, **form.cleaned_data)

    def update_row(self, row: Partner, actor: Actor, form: ConsoleForm) -> Partner:
        """Change a partner."""
        return services.update_partner(row, actor=actor, **form.changes())

    # -- one partner -------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What the partner brought, cost and scored; what is sent here is the form's."""
        if request.method == "POST":
            return self.settings_view(request, object_id)
        partner = self.readable_row(request, object_id)
        context = {
            "title": str(partner),
            "original": partner,
            "status": self.status_(partner),
            "links": self.links(request, partner),
            "history": self.history_address(request, partner),
            **partner_page(request, partner),
        }
        return self.page(request, "admin/console/partner.html", context)

    def links(self, request: HttpRequest, partner: Partner) -> list[dict[str, str]]:
        """Where it is changed, for who may."""
        address = reverse("admin:partners_partner_settings", args=[partner.pk])
        return [{"address": address, "icon": "edit", "label": "Edit"}] if self.may_write(request) else []

    def settings_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """The form of a partner."""
        partner = self.readable_row(request, str(object_id))
        context = {"title": f"Edit {partner}"}
        response: HttpResponse = self.changeform_view(request, str(partner.pk), "", context)
        return response

    def response_post_save_change(self, request: HttpRequest, obj: Partner) -> HttpResponseRedirect:
        """Back to the partner."""
        return HttpResponseRedirect(display.page_address(obj))

    # -- columns of the list -----------------------------------------------------------------------

    @admin.display(description="status", ordering="status")
    def status_(self, row: Partner) -> SafeString:
        """The health status."""
        return display.badge(row.status)

    @admin.display(description="revenue", ordering="revenue")
    def revenue_amount(self, row: Any) -> SafeString | str:
        """Net revenue of the period in the base currency; that some of it waits for a rate."""
        shown = display.amount(row.figures.revenue, row.workspace.base_currency)
        if not row.figures.unconverted:
            return shown
        waiting = f"{row.figures.unconverted:,} without a rate"
        return format_html("{} {}", display.badge("pending", waiting), shown)

    @admin.display(description="growth", ordering="growth")
    def growth_amount(self, row: Any) -> SafeString | str:
        """Against the period of equal length before."""
        return display.change(row.figures.growth)

    @admin.display(description="cost")
    def cost_amount(self, row: Any) -> SafeString | str:
        """What the partner cost in the period."""
        return display.amount(row.figures.cost, row.workspace.base_currency)

    @admin.display(description="ROI", ordering="roi")
    def roi_amount(self, row: Any) -> SafeString | str:
        """(revenue − cost) ÷ cost."""
        return display.share(row.figures.roi)

    @admin.display(description="score", ordering="score")
    def score_amount(self, row: Any) -> SafeString | str:
        """0 to 100; the reason on hover where there is none."""
        metrics = row.metrics_now
        if metrics is not None and metrics.score is not None:
            return display.points(metrics.score)
        reason = SCORE_REASONS.get(metrics.score_reason if metrics else "not_computed", "")
        return format_html('<span title="{}">{}</span>', reason, display.NOTHING)
