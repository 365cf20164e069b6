"""The page of the workspace's settings."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from alliantra.errors import DomainError, FieldProblem
from alliantra.workspaces import services
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.admin import intelligence
from alliantra.workspaces.admin.intelligence import IntelligenceForm
from alliantra.workspaces.console import display
from alliantra.workspaces.console.base import ConsoleAdmin
from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.rows import RowForm, RowsField
from alliantra.workspaces.console.session import workspace_of
from alliantra.workspaces.console.theme import TextInput
from alliantra.workspaces.models import Workspace
from partners.models import Cost, FxRate
from revenues.models import RevenueEvent


class CategoryRow(RowForm):
    """One product category."""

    name = forms.SlugField(max_length=60, widget=TextInput())
    label = forms.CharField(max_length=100, required=False, widget=TextInput())

    def clean_label(self) -> str:
        """The name with capitals, where no label is given."""
        name = str(self.cleaned_data.get("name", ""))
        return self.cleaned_data["label"] or name.replace("_", " ").replace("-", " ").capitalize()


SETTINGS = {"categories": "product_categories", "self_approval": "self_approval"}
"""Field of the form → key in the workspace's settings."""


class WorkspaceForm(IntelligenceForm):
    """What the owner decides about a workspace."""

    categories = RowsField(
        CategoryRow,
        required=False,
        add_label="Add a category",
        help_text="What products can be filed under. The name is what the API sends; the label is what people read.",
    )

    self_approval = forms.BooleanField(
        required=False,
        label="Let people approve what they calculated",
        help_text="Else a run is approved by somebody else than who asked for its calculation.",
    )

    class Meta:
        model = Workspace
        fields = ("name", "base_currency", "timezone")
        labels: ClassVar[dict[str, str]] = {"timezone": "Time zone"}
        help_texts: ClassVar[dict[str, str]] = {
            "base_currency": "ISO 4217 code, used where a source or an event names none, and for every figure. "
            "Stays as it is once there is revenue, a cost or an exchange rate.",
            "timezone": "Days, periods and rule windows begin and end in this zone, such as Europe/London.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["categories"] = self.instance.category_options
        self.initial["self_approval"] = self.instance.allows_self_approval

    def clean_base_currency(self) -> str:
        """Capital letters."""
        return str(self.cleaned_data["base_currency"]).upper()


@admin.register(Workspace)
class WorkspaceAdmin(ConsoleAdmin[Workspace]):
    """The current workspace; others do not exist here."""

    resource = "settings"
    may_change = True
    form = WorkspaceForm
    readonly_fields = ("identifier_", "slug_", "environment_", "created", "intelligence_")
    fieldsets = (
        (None, {"fields": ("name", "base_currency", "timezone")}),
        ("Product categories", {"fields": ("categories",)}),
        ("Closing", {"fields": ("self_approval",)}),
        *intelligence.FIELDSETS,
        ("Identity", {"fields": ("slug_", "environment_", "identifier_", "created")}),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """The current workspace alone."""
        return Workspace.objects.filter(pk=workspace_of(request).pk)

    def get_fieldsets(self, request: HttpRequest, obj: Workspace | None = None) -> Any:
        """For readers the categories as text."""
        if self.has_change_permission(request, obj):
            return self.fieldsets
        names = ("name", "base_currency", "timezone", "categories_", "slug_", "environment_", "identifier_", "created")
        return ((None, {"fields": names}), ("Partner intelligence", {"fields": ("intelligence_",)}))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Straight to the only row."""
        return HttpResponseRedirect(display.page_address(workspace_of(request)))

    def update_row(self, row: Workspace, actor: Actor, form: ConsoleForm) -> Workspace:
        """Change the workspace."""
        assert isinstance(form, WorkspaceForm)
        changes = {name: value for name, value in form.changes().items() if name not in intelligence.NAMES}
        if "base_currency" in changes:
            _refuse_while_money_counts(row)
        settings = {SETTINGS[name]: changes.pop(name) for name in SETTINGS if name in changes}
        settings |= form.settings_changes()
        if settings:
            changes["settings"] = intelligence.merged(row.settings, settings)
        updated = services.update_workspace(row, actor=actor, **changes)
        intelligence.follow_up(row, updated)
        return updated

    @admin.display(description="workspace id")
    def identifier_(self, row: Workspace) -> SafeString | str:
        """What X-Workspace-ID carries."""
        return display.identifier(row.pk)

    @admin.display(description="slug")
    def slug_(self, row: Workspace) -> SafeString | str:
        """The handle in commands."""
        return display.identifier(row.slug)

    @admin.display(description="environment")
    def environment_(self, row: Workspace) -> SafeString:
        """What it is for."""
        return display.badge(row.environment)

    @admin.display(description="product categories")
    def categories_(self, row: Workspace) -> str:
        """Labels."""
        return display.listing([option["label"] for option in row.category_options])

    @admin.display(description="settings")
    def intelligence_(self, row: Workspace) -> SafeString | str:
        """Attribution, exchange rates, weights and thresholds."""
        return display.pairs(intelligence.shown(row))

    @admin.display(description="created")
    def created(self, row: Workspace) -> SafeString | str:
        """When it was made."""
        return display.moment(row.created_at)


def _refuse_while_money_counts(workspace: Workspace) -> None:
    """Raise conflict if anything was counted in the base currency: no figure would mean what it meant before."""
    revenue = RevenueEvent.objects.in_workspace(workspace).exclude(amount=None)
    recorded = {
        "revenue": revenue,
        "costs": Cost.objects.in_workspace(workspace),
        "exchange rates": FxRate.objects.in_workspace(workspace),
    }
    names = [name for name, rows in recorded.items() if rows.exists()]
    if names:
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        detail = f"The base currency cannot change any more: there are {listed} in this workspace."
        raise DomainError("conflict", detail, errors=[FieldProblem("/base_currency", "invalid", detail)])
