"""Rows of the tables inside the rule form: allocations with their tiers, and metadata conditions."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.forms import TypedValueRow, search_box, typed, typed_row
from alliantra.workspaces.console.rows import RowForm
from alliantra.workspaces.console.theme import Dropdown, NumberInput, TextInput
from partners.models import Payee, PayeeGroup, PayeeGroupMember
from rules.admin.wording import OPERATORS
from rules.allocations import AllocationValues, decimal_text
from rules.models import CalculationItem

LIST_OPERATORS = {"in", "not_in"}


BAND = re.compile(r"\s*([0-9]{1,14}(?:\.[0-9]{1,6})?)\s*:\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%?\s*")


def read_tiers(text: str) -> list[dict[str, Decimal]]:
    """`0: 4; 200: 6` as bands. Raises ValueError with what to write instead."""
    bands = [BAND.fullmatch(part) for part in text.split(";") if part.strip()]
    if not all(bands):
        message = "Write where each band begins and its percentage, such as 0: 4; 200: 6; 400: 8."
        raise ValueError(message)
    return [{"from": Decimal(band[1]), "percentage": Decimal(band[2])} for band in bands if band]


def written_tiers(tiers: Iterable[Mapping[str, str]]) -> str:
    """Bands as people type them."""
    return "; ".join(f"{tier['from']}: {tier['percentage']}" for tier in tiers)


def _number_input(label: str) -> NumberInput:
    return NumberInput(attrs={"inputmode": "decimal", "step": "any", "aria-label": label})


def _amount_field(label: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=False,
        min_value=Decimal("0.000001"),
        max_digits=20,
        decimal_places=6,
        widget=_number_input(label),
    )


class AllocationRow(RowForm):
    """A payee or a group, and what it gets: a percentage, a fixed amount a sale, or tiers."""

    payee = forms.ModelChoiceField(
        required=False,
        queryset=Payee.objects.none(),
        widget=search_box(CalculationItem, "payee", admin.site, label="Payee"),
    )
    payee_group = forms.ModelChoiceField(
        required=False,
        label="or group",
        queryset=PayeeGroup.objects.none(),
        widget=search_box(PayeeGroupMember, "group", admin.site, label="Payee group"),
    )
    percentage = forms.DecimalField(
        label="Percent",
        required=False,
        min_value=Decimal("0.000001"),
        max_value=100,
        max_digits=9,
        decimal_places=6,
        widget=_number_input("Percentage"),
    )
    fixed_amount = _amount_field("or fixed a sale")
    tiers = forms.CharField(
        label="or tiers",
        required=False,
        max_length=1_000,
        widget=TextInput(attrs={"placeholder": "0: 4; 200: 6", "aria-label": "Tiers"}),
    )
    floor_amount = _amount_field("At least a run")
    cap_amount = _amount_field("At most a run")

    def __init__(self, *args: Any, actor: Actor | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if actor is not None:
            for name, model in (("payee", Payee), ("payee_group", PayeeGroup)):
                field: Any = self.fields[name]
                field.queryset = model.objects.in_workspace(actor.workspace)

    def clean_tiers(self) -> str:
        """The bands as they will be written when read again."""
        text = self.cleaned_data["tiers"]
        try:
            bands = read_tiers(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return written_tiers({name: decimal_text(number) for name, number in band.items()} for band in bands)

    @staticmethod
    def values(cells: Mapping[str, Any]) -> AllocationValues:
        """A cleaned row as the service takes it: what was filled in."""
        filled = {name: cell for name, cell in cells.items() if cell not in (None, "")}
        values: Any = {name: cell for name, cell in filled.items() if name not in {"payee", "payee_group", "tiers"}}
        values |= {f"{name}_id": str(filled[name].pk) for name in ("payee", "payee_group") if name in filled}
        if "tiers" in filled:
            values["tiers"] = read_tiers(filled["tiers"])
        return values


def allocation_row(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Initial values of an AllocationRow."""
    row: dict[str, Any] = dict.fromkeys(AllocationRow.base_fields)
    row |= {"payee": stored.get("payee_id"), "payee_group": stored.get("payee_group_id")}
    row["tiers"] = written_tiers(stored.get("tiers", ()))
    numbers = ("percentage", "fixed_amount", "cap_amount", "floor_amount")
    return row | {name: Decimal(stored[name]) for name in numbers if name in stored}


class ConditionRow(TypedValueRow):
    """A comparison with one key of a row's metadata."""

    operator = forms.ChoiceField(choices=OPERATORS, initial="eq", widget=Dropdown())
    field_order = ("key", "operator", "value", "kind")

    def clean(self) -> dict[str, Any]:
        """The value in its type; several, separated by commas, where the operator takes several."""
        operator = self.cleaned_data.get("operator")
        if operator == "exists":
            self.cleaned_data["kind"] = "boolean"
            self.cleaned_data["value"] = self.cleaned_data.get("value") or "yes"
        if operator not in LIST_OPERATORS:
            return super().clean()
        parts = [part.strip() for part in self.cleaned_data.get("value", "").split(",") if part.strip()]
        try:
            self.cleaned_data["value"] = [typed(part, self.cleaned_data["kind"]) for part in parts]
        except ValueError as error:
            self.add_error("value", str(error))
        return self.cleaned_data


def condition_row(condition: dict[str, Any]) -> dict[str, Any]:
    """Initial values of a ConditionRow."""
    value = condition.get("value", True)
    row = typed_row(condition["key"], value[0] if isinstance(value, list) and value else value)
    if isinstance(value, list):
        row["value"] = ", ".join(str(item) for item in value)
    return {**row, "operator": condition["operator"]}
