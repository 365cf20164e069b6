"""Which column of a file becomes which field of a revenue row: as a template fills it in, as people change it; pure.

A mapping is a JSON object, field → where its value comes from:
`"Invoice"` or `{"column": "Invoice"}`, a column; `{"column": "Seats", "type": "number"}`, metadata of a type;
`{"columns": ["InvoiceNo", "#"], "separator": "-"}`, texts joined, where `#` is the number of the row;
`{"multiply": ["Quantity", "UnitPrice"]}`, an amount; `{"value": "GBP"}`, the same for every row;
`null`, nothing, whatever the template says.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from alliantra.errors import FieldProblem, Invalid
from revenues.imports.tables import Table
from revenues.imports.templates import CORE, FIELDS, METADATA, Template
from revenues.ingestion.diagnosis import METADATA_KEY_LENGTH

ROW_NUMBER: Final = "#"
MetadataType = Literal["text", "number", "boolean"]
METADATA_TYPES: Final[tuple[str, ...]] = get_args(MetadataType)
JOINED_LIMIT: Final = 10
FIELDS_LIMIT: Final = 60
VALUE_LENGTH: Final = 200
_FORMS: Final = ({"column"}, {"column", "type"}, {"columns"}, {"columns", "separator"}, {"multiply"}, {"value"})

Source = Mapping[str, Any]
Mapped = dict[str, Source]
"""Field → its source in the long form."""


def suggested(template: Template, table: Table) -> Mapped:
    """What the template makes of the header; a name that stands in it twice is left to people."""
    unclear = table.repeated
    return {
        target: {"column": column}
        for target, column in template.matched(table.columns).items()
        if column not in unclear
    }


def override(base: Mapped, changes: Mapping[str, Any], columns: Sequence[str]) -> Mapped:
    """`base` with the sent fields in place of its own. Raises Invalid with a pointer per wrong place."""
    problems: list[FieldProblem] = []
    merged = dict(base)
    for target, source in changes.items():
        pointer = f"/mapping/{target.replace('~', '~0').replace('/', '~1')}"
        problem = _target_problem(target, pointer) or _source_problem(target, source, pointer, columns)
        if problem is not None:
            problems.append(problem)
        elif source is None:
            merged.pop(target, None)
        else:
            merged[target] = {"column": source} if isinstance(source, str) else dict(source)
    if len(merged) > FIELDS_LIMIT:
        problems += Invalid.field("/mapping", "too_long", f"At most {FIELDS_LIMIT} fields are mapped.").errors
    if problems:
        raise Invalid(problems)
    return merged


def in_order(mapping: Mapped) -> Mapped:
    """Fields in the order of the documentation, metadata last: a mapping out of the database has none."""
    known = [name for name in FIELDS if name in mapping]
    return {name: mapping[name] for name in (*known, *sorted(set(mapping) - set(known)))}


def unmapped(mapping: Mapped) -> list[str]:
    """Fields that every row needs and that the mapping says nothing of."""
    return [name for name in CORE if name not in mapping]


def columns_of(source: Source) -> list[str]:
    """Columns that a source reads."""
    if "column" in source:
        return [source["column"]]
    return [name for name in (*source.get("columns", ()), *source.get("multiply", ())) if name != ROW_NUMBER]


def column_of(mapping: Mapped, target: str) -> str:
    """Column that a problem of a field is shown at."""
    return next(iter(columns_of(mapping.get(target, {}))), "")


def _target_problem(target: str, pointer: str) -> FieldProblem | None:
    if target.startswith(METADATA):
        if not 0 < len(target) - len(METADATA) <= METADATA_KEY_LENGTH:
            return _problem(pointer, "metadata_limit", f"A key has 1 to {METADATA_KEY_LENGTH} characters.")
        return None
    if target not in FIELDS:
        return _problem(pointer, "unknown_field", f"Known: {', '.join(FIELDS)}, {METADATA}*.")
    return None


def _source_problem(target: str, source: Any, pointer: str, columns: Sequence[str]) -> FieldProblem | None:
    if source is None:
        return None
    form = {"column": source} if isinstance(source, str) else source
    if not isinstance(form, dict) or set(form) not in _FORMS:
        return _problem(pointer, "invalid", "Send a column's name, or one of the documented objects.")
    if "value" in form:
        return _value_problem(form["value"], pointer)
    if "type" in form and (not target.startswith(METADATA) or form["type"] not in METADATA_TYPES):
        return _problem(f"{pointer}/type", "invalid_choice", f"Metadata is {', '.join(METADATA_TYPES)}.")
    if "multiply" in form and target != "amount":
        return _problem(f"{pointer}/multiply", "invalid", "Only the amount can be a product.")
    if not isinstance(form.get("separator", ""), str) or len(form.get("separator", "")) > VALUE_LENGTH:
        return _problem(f"{pointer}/separator", "invalid_type", "Expected a short text.")
    return _columns_problem(form, pointer, columns)


def _value_problem(value: Any, pointer: str) -> FieldProblem | None:
    if not isinstance(value, str) or not value or len(value) > VALUE_LENGTH:
        return _problem(f"{pointer}/value", "invalid_type", f"Expected a text of 1 to {VALUE_LENGTH} characters.")
    return None


def _columns_problem(form: Mapping[str, Any], pointer: str, columns: Sequence[str]) -> FieldProblem | None:
    names = [form["column"]] if "column" in form else form.get("columns", form.get("multiply"))
    if not isinstance(names, list) or not 1 <= len(names) <= JOINED_LIMIT:
        return _problem(pointer, "invalid", f"Expected a list of 1 to {JOINED_LIMIT} columns.")
    known = {*columns, ROW_NUMBER} if "columns" in form else set(columns)
    for name in names:
        if not isinstance(name, str) or name not in known:
            return _problem(pointer, "does_not_exist", f"The file has no column {str(name)[:100]!r}.")
    return None


def _problem(pointer: str, code: str, detail: str) -> FieldProblem:
    return FieldProblem(pointer, code, detail)
