"""What is typed into tables of rows: values in their types, conditions, and the way back into the form."""

from decimal import Decimal
from typing import Any

import pytest

from alliantra.workspaces.console.forms import LinesField, MetadataField, TypedValueRow, typed, typed_row
from alliantra.workspaces.console.rows import RowsField
from rules.admin.rows import AllocationRow, ConditionRow, allocation_row, condition_row, read_tiers


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", "text", "3"),
        ("3", "number", 3),
        ("-3.50", "number", Decimal("-3.50")),
        ("yes", "boolean", True),
        ("False", "boolean", False),
    ],
)
def test_a_value_has_the_type_that_was_chosen(text: str, kind: str, value: Any) -> None:
    assert typed(text, kind) == value
    assert type(typed(text, kind)) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"), [("1e9", "number"), ("NaN", "number"), ("٣", "number"), ("maybe", "boolean")]
)
def test_what_is_not_of_the_type_is_refused(text: str, kind: str) -> None:
    form = TypedValueRow({"key": "k", "value": text, "kind": kind})
    assert form.errors.keys() == {"value"}


def test_cells_are_called_what_their_columns_are_called() -> None:
    assert 'aria-label="Key"' in str(TypedValueRow()["key"])
    named = {name: field.widget.attrs["aria-label"] for name, field in AllocationRow().fields.items()}
    assert named["percentage"] == "Percentage"
    assert all(named.values())


@pytest.mark.parametrize("value", ["gold", 3, Decimal("1.5"), True, False])
def test_a_stored_value_comes_back_as_it_was(value: Any) -> None:
    row = typed_row("k", value)
    assert typed(row["value"], row["kind"]) == value


@pytest.mark.parametrize(
    "condition",
    [
        {"key": "plan", "operator": "eq", "value": "annual"},
        {"key": "seats", "operator": "not_in", "value": [3, 5]},
        {"key": "vip", "operator": "exists", "value": False},
        {"key": "score", "operator": "gte", "value": Decimal("1.5")},
    ],
)
def test_a_condition_comes_back_as_it_was(condition: dict[str, Any]) -> None:
    form = ConditionRow(condition_row(condition))
    assert form.is_valid(), form.errors
    assert {name: form.cleaned_data[name] for name in ("key", "operator", "value")} == condition


def test_exists_needs_no_value() -> None:
    form = ConditionRow({"key": "vip", "operator": "exists", "value": "", "kind": "text"})
    assert form.is_valid()
    assert form.cleaned_data["value"] is True


def test_a_wrong_value_in_a_list_is_refused() -> None:
    form = ConditionRow({"key": "seats", "operator": "in", "value": "3, many", "kind": "number"})
    assert form.errors.keys() == {"value"}


def bound(field: RowsField, *rows: dict[str, str]) -> Any:
    """What the table would send."""
    data = {"t-TOTAL_FORMS": str(len(rows)), "t-INITIAL_FORMS": "0"}
    data |= {f"t-{index}-{name}": text for index, row in enumerate(rows) for name, text in row.items()}
    return field.widget.value_from_datadict(data, {}, "t")


def test_empty_and_removed_rows_do_not_count() -> None:
    field = MetadataField()
    kept, removed = {"key": "a", "value": "1", "kind": "text"}, {"key": "b", "value": "2", "kind": "text"}
    blank = {"key": "", "value": "", "kind": "text"}
    assert field.clean(bound(field, kept, blank, {**removed, "DELETE": "on"})) == {"a": "1"}


def test_only_a_difference_is_a_change() -> None:
    field = MetadataField()
    row = {"key": "a", "value": "1", "kind": "number"}
    assert not field.has_changed({"a": 1}, bound(field, row))
    assert field.has_changed({"a": "1"}, bound(field, row))
    assert field.has_changed({}, bound(field, row))
    assert field.has_changed({"a": 1}, bound(field, {**row, "value": "x"}))


def test_lines_are_texts_once_each() -> None:
    field = LinesField()
    assert field.clean(" a, b\nb\n\n c ,") == ["a", "b", "c"]
    assert field.prepare_value(["a", "b"]) == "a\nb"
    assert not field.has_changed(["a", "b"], "a\nb")


@pytest.mark.parametrize("text", ["0: 4; 200: 6; 400.50: 8.5", " 0:4 %;200 : 6%; 400.50:8.5;"])
def test_tiers_are_typed_as_bands(text: str) -> None:
    assert read_tiers(text) == [
        {"from": Decimal(0), "percentage": Decimal(4)},
        {"from": Decimal(200), "percentage": Decimal(6)},
        {"from": Decimal("400.50"), "percentage": Decimal("8.5")},
    ]


@pytest.mark.parametrize("text", ["4", "0=4", "-1: 4", "0: 4, 200: 6", "0: x", "\u0660: 4"])
def test_what_is_no_band_is_refused(text: str) -> None:
    assert AllocationRow({"tiers": text}).errors.keys() == {"tiers"}


@pytest.mark.parametrize(
    "stored",
    [
        {"payee_id": "p", "percentage": "20"},
        {"payee_group_id": "g", "members": [], "fixed_amount": "5.5", "cap_amount": "100", "floor_amount": "1"},
        {"payee_id": "p", "tiers": [{"from": "0", "percentage": "4"}, {"from": "200", "percentage": "6.5"}]},
    ],
)
def test_a_stored_allocation_comes_back_as_it_was(stored: dict[str, Any]) -> None:
    row = {name: value for name, value in allocation_row(stored).items() if value not in (None, "")}
    expected: dict[str, Any] = {
        name: Decimal(stored[name]) for name in stored if name.endswith(("_amount", "percentage"))
    }
    expected |= {name.removesuffix("_id"): stored[name] for name in stored if name.endswith("_id")}
    if "tiers" in stored:
        expected["tiers"] = "0: 4; 200: 6.5"
    assert row == expected
