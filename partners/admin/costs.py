"""Pages of what partners cost beside what rules allocate to their payees."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.timezone import now

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import Command, ConsoleAdmin
from alliantra.workspaces.console.filters import AfterBeforeFilter, ChoicesFilter, PartFilter, RelatedFilter
from alliantra.workspaces.console.forms import EXTERNAL_ID_HELP, ConsoleForm, date_input
from partners.models import Cost
from partners.services.costs import LONGEST_PERIOD, create_cost, delete_cost, update_cost

DELETE = "delete"


class CostForm(ConsoleForm):
    """What a partner cost, and over which days."""

    class Meta:
        model = Cost
        fields = ("partner", "kind", "period_start", "period_end", "amount", "currency", "note", "external_id")
        labels: ClassVar[dict[str, str]] = {"period_start": "From", "period_end": "To"}
        help_texts: ClassVar[dict[str, str]] = {
            "period_start": "The amount is counted evenly over the days of the period.",
            "period_end": f"Included; at most {LONGEST_PERIOD:,} days.",
            "amount": "Below zero for a credit note.",
            "currency": "ISO 4217 code. Another currency than the base currency counts at the rate of the first day, "
            "which must be recorded before.",
            "note": "What it was for.",
            "external_id": EXTERNAL_ID_HELP,
        }
        widgets: ClassVar[dict[str, forms.Widget]] = {"period_start": date_input(), "period_end": date_input()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_new:
            self.initial.setdefault("currency", self.actor.workspace.base_currency)

    def clean_currency(self) -> str:
        """Capital letters."""
        return str(self.cleaned_data["currency"]).upper()

    def _get_validation_exclusions(self) -> set[str]:
        """Constraints on these are left to the service, which says at which field they are broken."""
        return super()._get_validation_exclusions() | {"amount", "period_end"}  # type: ignore[misc]


def _delete(row: Cost, actor: Actor) -> str:
    delete_cost(row, actor=actor)
    return f"{row} of {row.partner} is deleted."


@admin.register(Cost)
class CostAdmin(ConsoleAdmin[Cost]):
    """Recorded costs."""

    resource = "partners"
    may_add = may_change = True
    form = CostForm
    when_empty = "What you pay partners beside what rules allocate: fees, media, bonuses. It counts in cost and ROI."
    autocomplete_fields = ("partner",)
    list_display = ("partner", "kind", "period_", "amount_", "base_amount_", "note", "changed")
    list_filter = (
        ("partner", RelatedFilter),
        ("kind", ChoicesFilter),
        ("currency", PartFilter),
        ("created_at", AfterBeforeFilter),
    )
    list_select_related = ("partner", "workspace")
    search_fields = ("note", "external_id")
    search_help_text = "Note or external id"
    ordering = ("-period_start", "-id")
    fieldsets = (
        (None, {"fields": ("partner", "kind", "period_start", "period_end", "amount", "currency", "note")}),
        ("Record", {"fields": ("external_id", "counted")}),
    )
    readonly_fields = ("counted",)
    for_readers: ClassVar[dict[str, str]] = {
        **ConsoleAdmin.for_readers,
        "amount": "amount_",
        "partner": "partner_",
        "period_start": "first_",
        "period_end": "last_",
    }
    commands = (
        Command(
            DELETE,
            "Delete",
            _delete,
            warning="What the partner cost on these days, and its return, change: those of past periods too.",
            icon="delete",
            is_dangerous=True,
        ),
    )

    def create_row(self, actor: Actor, form: ConsoleForm) -> Cost:
        """Record a cost."""
        return create_cost(actor=actor, now=now(), **form.cleaned_data)

    def update_row(self, row: Cost, actor: Actor, form: ConsoleForm) -> Cost:
        """Change a cost."""
        return update_cost(row, actor=actor, now=now(), **form.changes())

    def after_command(self, row: Cost, command: Command[Any]) -> str:
        """The list: a deleted cost has no page."""
        return reverse("admin:partners_cost_changelist")

    def get_queryset(self, request: HttpRequest) -> Any:
        """With partner and workspace, which name it."""
        return super().get_queryset(request).select_related("partner", "workspace")

    @admin.display(description="partner", ordering="partner__name")
    def partner_(self, row: Cost) -> SafeString | str:
        """Link to the partner."""
        return display.link(row.partner)

    @admin.display(description="period", ordering="period_start")
    def period_(self, row: Cost) -> str:
        """First and last day."""
        return display.period(row.period_start, row.period_end)

    @admin.display(description="from")
    def first_(self, row: Cost) -> str:
        """First day."""
        return display.day(row.period_start)

    @admin.display(description="to")
    def last_(self, row: Cost) -> str:
        """Last day."""
        return display.day(row.period_end)

    @admin.display(description="amount")
    def amount_(self, row: Cost) -> SafeString | str:
        """As it was recorded."""
        return display.amount(row.amount, row.currency)

    @admin.display(description="in the base currency", ordering="base_amount")
    def base_amount_(self, row: Cost) -> SafeString | str:
        """At the rate that was frozen."""
        return display.amount(row.base_amount, row.workspace.base_currency)

    @admin.display(description="counted as")
    def counted(self, row: Cost) -> SafeString | str:
        """The amount in the base currency, and the rate it was converted at."""
        if row._state.adding:
            return display.NOTHING
        shown = self.base_amount_(row)
        if row.rate_on is None:
            return shown
        rate = f"at 1 {row.currency} = {display.figures(row.rate, 4)} {row.workspace.base_currency}"
        return display.beside(shown, f"{rate}, the rate of {display.day(row.rate_on)}")

    @admin.display(description="changed", ordering="updated_at")
    def changed(self, row: Cost) -> SafeString | str:
        """When it was recorded or changed last."""
        return display.moment(row.updated_at)
