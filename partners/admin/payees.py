"""Pages of payees."""

from typing import ClassVar

from django.contrib import admin
from django.utils.safestring import SafeString

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ConsoleAdmin
from alliantra.workspaces.console.filters import ChoicesFilter, RelatedFilter, ValueFilter
from alliantra.workspaces.console.forms import EXTERNAL_ID_HELP, ConsoleForm, MetadataField
from partners import services
from partners.models import Payee


class PayeeForm(ConsoleForm):
    """Everything about a payee but what it has earned."""

    metadata = MetadataField()

    class Meta:
        model = Payee
        fields = (
            "name",
            "external_id",
            "type",
            "status",
            "partner",
            "currency",
            "on_hold",
            "hold_reason",
            "minimum_payout",
            "fallback_percentage",
            "contact_name",
            "contact_email",
            "contact_phone",
            "address",
            "metadata",
        )
        help_texts: ClassVar[dict[str, str]] = {
            "external_id": EXTERNAL_ID_HELP,
            "status": "An inactive payee keeps what it has earned; a run that would allocate to it says so.",
            "partner": "Whose revenue leads to this payee when no rule matches.",
            "currency": "ISO 4217 code in which the payee is paid, such as EUR. Leave empty for any.",
            "on_hold": "Held payees stay in calculations and are left out of payouts.",
            "hold_reason": "Shown in the payout review.",
            "minimum_payout": "Below this amount the payee is left out of the payout and the sum is carried over.",
            "fallback_percentage": "Allocated to this payee when no rule matches a row of its partner. 0–100.",
        }

    def clean_currency(self) -> str | None:
        """Capital letters."""
        currency = self.cleaned_data["currency"]
        return currency.upper() if currency else None


@admin.register(Payee)
class PayeeAdmin(ConsoleAdmin[Payee]):
    """Payees."""

    resource = "payees"
    may_add = may_change = True
    form = PayeeForm
    autocomplete_fields = ("partner",)
    for_readers: ClassVar[dict[str, str]] = {**ConsoleAdmin.for_readers, "minimum_payout": "minimum_amount"}
    list_display = ("name", "external_id_", "type", "status_", "partner_", "currency", "minimum_amount", "created")
    list_filter = (
        ("status", ChoicesFilter),
        ("type", ChoicesFilter),
        ("partner", RelatedFilter),
        ("currency", ValueFilter),
    )
    list_select_related = ("partner",)
    search_fields = ("name", "external_id", "contact_email")
    search_help_text = "Name, external id or e-mail"
    ordering = ("name", "id")
    fieldsets = (
        (None, {"fields": ("name", "external_id", "type", "status", "partner")}),
        (
            "Payout",
            {"fields": ("currency", "minimum_payout", "fallback_percentage", "on_hold", "hold_reason")},
        ),
        ("Contact", {"fields": ("contact_name", "contact_email", "contact_phone", "address")}),
        ("Metadata", {"fields": ("metadata",)}),
    )

    def create_row(self, actor: Actor, form: ConsoleForm) -> Payee:
        """Add a payee."""
        return services.create_payee(actor=actor, **form.cleaned_data)

    def update_row(self, row: Payee, actor: Actor, form: ConsoleForm) -> Payee:
        """Change a payee."""
        return services.update_payee(row, actor=actor, **form.changes())

    @admin.display(description="external id", ordering="external_id")
    def external_id_(self, row: Payee) -> SafeString | str:
        """The external id."""
        return display.identifier(row.external_id)

    @admin.display(description="status", ordering="status")
    def status_(self, row: Payee) -> SafeString:
        """The status; a hold goes before it."""
        return display.badge("on_hold", "on hold") if row.on_hold else display.badge(row.status)

    @admin.display(description="partner", ordering="partner__name")
    def partner_(self, row: Payee) -> SafeString | str:
        """Link to the partner."""
        return display.link(row.partner)

    @admin.display(description="minimum payout", ordering="minimum_payout")
    def minimum_amount(self, row: Payee) -> SafeString | str:
        """The threshold in the payee's currency."""
        return display.amount(row.minimum_payout or None, row.currency)

    @admin.display(description="added", ordering="created_at")
    def created(self, row: Payee) -> SafeString | str:
        """When it was added."""
        return display.moment(row.created_at)
