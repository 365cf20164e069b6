"""Forms of rules and calculation runs."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError

from alliantra.workspaces.console.forms import (
    EXTERNAL_ID_HELP,
    ConsoleForm,
    LinesField,
    MetadataField,
    date_input,
    search_box,
)
from alliantra.workspaces.console.rows import RowsField
from alliantra.workspaces.console.theme import Checkboxes, Dropdown, NumberInput, TextInput
from partners.models import Partner
from revenues.models import Product, RevenueEvent, RevenueSource, RevenueType
from rules.admin.rows import AllocationRow, ConditionRow, allocation_row, condition_row
from rules.models import (
    AllocationType,
    CalculationRun,
    Rule,
    RuleStatus,
    TierMeasure,
    TierMode,
    TierWindow,
)
from rules.services import SPOKEN

SCOPE_FIELDS = {
    "scope_sources": "revenue_source_ids",
    "scope_products": "product_ids",
    "scope_categories": "product_categories",
    "scope_tags": "product_tags",
    "scope_partners": "partner_ids",
    "scope_territories": "territories",
    "scope_types": "types",
    "scope_metadata": "metadata",
}
"""Field of the form → dimension of the scope."""


class RuleForm(ConsoleForm):
    """What a rule says; saving a change makes a new version. A form that `is_tried` is shown again, never saved."""

    is_tried: ClassVar[bool] = False

    name = forms.CharField(max_length=200, widget=TextInput())
    status = forms.ChoiceField(
        choices=RuleStatus.choices,
        initial=RuleStatus.ACTIVE,
        widget=Dropdown(),
        help_text="Only active rules take part in calculations. Drafts and archived rules are seen by people only.",
    )
    priority = forms.IntegerField(
        initial=100,
        min_value=-(2**31),
        max_value=2**31 - 1,
        widget=NumberInput(),
        help_text="Among rules that match the same row the highest number wins; then the more specific scope.",
    )
    allocation_type = forms.ChoiceField(
        choices=AllocationType.choices,
        initial=AllocationType.FLAT,
        widget=Dropdown(),
        help_text="Flat: a percentage or a fixed amount of each sale. Tiered: a rate that changes with what was sold.",
    )
    tier_mode = forms.ChoiceField(
        choices=TierMode.choices,
        initial=TierMode.GRADUATED,
        widget=Dropdown(),
        help_text="Graduated: each band's rate for the part inside it. Volume: the reached band's rate for everything.",
    )
    tier_measure = forms.ChoiceField(
        choices=TierMeasure.choices,
        initial=TierMeasure.REVENUE,
        widget=Dropdown(),
        help_text="What is measured: net revenue, or how many rows.",
    )
    tier_window = forms.ChoiceField(
        choices=TierWindow.choices,
        initial=TierWindow.RUN,
        widget=Dropdown(),
        help_text="After which time the measure starts at zero again.",
    )
    first_days_of_customer = forms.IntegerField(
        label="First days of a customer",
        required=False,
        min_value=1,
        max_value=36_500,
        widget=NumberInput(),
        help_text="Only revenue within so many days of the customer's first sale. Empty: for ever.",
    )
    valid_from = forms.DateField(
        required=False,
        widget=date_input(),
        help_text="First day, in the workspace's zone, compared with when revenue occurred. Empty: always.",
    )
    valid_to = forms.DateField(required=False, widget=date_input(), help_text="Last day, included.")
    allocations = RowsField(
        AllocationRow,
        add_label="Add a payee",
        extra=1,
        help_text="In each row a payee or a group, and a percentage, a fixed amount or tiers (0: 4; 200: 6). "
        "Percentages are together at most 100; what is left stays with the company.",
    )
    scope_sources = forms.ModelMultipleChoiceField(
        queryset=RevenueSource.objects.none(),
        required=False,
        label="Sources",
        widget=search_box(RevenueEvent, "source", admin.site, several=True),
    )
    scope_products = forms.ModelMultipleChoiceField(
        queryset=Product.objects.none(),
        required=False,
        label="Products",
        widget=search_box(RevenueEvent, "product", admin.site, several=True),
    )
    scope_categories = forms.MultipleChoiceField(required=False, label="Product categories", widget=Checkboxes())
    scope_tags = LinesField(label="Product tags", help_text="One to a line or separated by commas.")
    scope_partners = forms.ModelMultipleChoiceField(
        queryset=Partner.objects.none(),
        required=False,
        label="Partners",
        widget=search_box(RevenueEvent, "partner", admin.site, several=True),
    )
    scope_territories = LinesField(label="Territories", help_text="As revenue names them, one to a line.")
    scope_types = forms.MultipleChoiceField(
        choices=RevenueType.choices, required=False, label="Types", widget=Checkboxes()
    )
    scope_metadata = RowsField(
        ConditionRow,
        required=False,
        label="Metadata conditions",
        add_label="Add a condition",
        extra=1,
        help_text="All must hold. The number 3 is not the text 3. Several values are separated by commas.",
    )
    metadata = MetadataField()

    class Meta:
        model = Rule
        fields = ("external_id",)
        help_texts: ClassVar[dict[str, str]] = {
            "external_id": EXTERNAL_ID_HELP,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        workspace, fields = self.actor.workspace, self.fields
        for name, model in (("scope_sources", RevenueSource), ("scope_products", Product), ("scope_partners", Partner)):
            choice: Any = fields[name]
            choice.queryset = model.objects.in_workspace(workspace)
        rows: Any = fields["allocations"].widget
        rows.form_kwargs = {"actor": self.actor}
        self._read_version()
        options = {option["name"]: option["label"] for option in workspace.category_options}
        for name in self.initial.get("scope_categories", ()):
            options.setdefault(name, name)
        categories: Any = fields["scope_categories"]
        categories.choices = list(options.items())

    def is_valid(self) -> bool:
        """Whether it can be saved."""
        return super().is_valid() and not self.is_tried

    def _read_version(self) -> None:
        version = self.instance.active_version
        if version is None:
            return
        for name in SPOKEN:
            self.initial[name] = getattr(version, name)
        self.initial["allocations"] = [allocation_row(item) for item in version.allocations]
        for field, dimension in SCOPE_FIELDS.items():
            self.initial[field] = version.scope.get(dimension) or []
        self.initial["scope_metadata"] = [condition_row(item) for item in self.initial["scope_metadata"]]

    def place_of(self, steps: list[str]) -> tuple[str, list[str]]:
        """Each dimension of the scope is a field of its own."""
        if steps[0] == "scope" and len(steps) > 1:
            names = {dimension: field for field, dimension in SCOPE_FIELDS.items()}
            return names.get(steps[1], "scope"), steps[2:]
        return super().place_of(steps)

    def values(self) -> dict[str, Any]:
        """What the service takes: everything when creating, else what changed."""
        names = list(self.fields) if self.is_new else self.changed_data
        values = {name: self.cleaned_data[name] for name in names if name not in (*SCOPE_FIELDS, "allocations")}
        if "allocations" in names:
            values["allocations"] = [AllocationRow.values(row) for row in self.cleaned_data["allocations"]]
        if any(name in SCOPE_FIELDS for name in names):
            values["scope"] = self._scope()
        return values

    def _scope(self) -> dict[str, Any]:
        scope: dict[str, Any] = {}
        for field, dimension in SCOPE_FIELDS.items():
            chosen = self.cleaned_data[field]
            if field == "scope_metadata":
                chosen = [{name: row[name] for name in ("key", "operator", "value")} for row in chosen]
            elif hasattr(chosen, "values_list"):
                chosen = [str(pk) for pk in chosen.values_list("pk", flat=True)]
            if chosen:
                scope[dimension] = list(chosen)
        return scope


class RunForm(ConsoleForm):
    """Which period to calculate, in which currency, from which sources."""

    revenue_sources = forms.ModelMultipleChoiceField(
        queryset=RevenueSource.objects.none(),
        required=False,
        widget=search_box(RevenueEvent, "source", admin.site, several=True),
        help_text="Leave empty for all sources.",
    )

    class Meta:
        model = CalculationRun
        fields = ("period_start", "period_end", "currency")
        widgets: ClassVar[dict[str, forms.Widget]] = {"period_start": date_input(), "period_end": date_input()}
        help_texts: ClassVar[dict[str, str]] = {
            "period_start": "First day, in the workspace's time zone.",
            "period_end": "Last day, included.",
            "currency": "A run has one currency; rows in others are left to their own runs.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["revenue_sources"]
        choice.queryset = RevenueSource.objects.in_workspace(self.actor.workspace)
        self.fields["currency"].initial = self.actor.workspace.base_currency

    def clean_currency(self) -> str:
        """Capital letters."""
        return str(self.cleaned_data["currency"]).upper()

    def clean(self) -> dict[str, Any]:
        """A period whose end is not before its start."""
        cleaned = super().clean()
        first, last = cleaned.get("period_start"), cleaned.get("period_end")
        if first and last and last < first:
            self.add_error("period_end", ValidationError("The end must not lie before the start.", code="period_order"))
        return cleaned
