"""One row of text as a revenue record, or everything that is wrong with it, or why it is left out; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple

from alliantra.errors import FIELD_CODES
from alliantra.money import MINOR_UNITS
from revenues.imports.mapping import ROW_NUMBER, Mapped, Source, column_of
from revenues.imports.reading import Wrong, from_minor_units, product, read_amount, read_moment
from revenues.imports.tables import Table, TableRow
from revenues.imports.templates import METADATA, Choice, Template, normalised
from revenues.ingestion.diagnosis import METADATA_KEYS, METADATA_TEXT_LENGTH, is_storable
from revenues.ingestion.records import TEXT_LENGTHS, FileRecord

CELL_LIMIT: Final = 32_767
"""Characters that a cell of a spreadsheet can hold; more is mostly a quotation mark that is never closed."""
SHOWN_LENGTH: Final = 100
TYPES: Final[Mapping[str, str]] = {
    "sale": "sale",
    "refund": "refund",
    "adjustment": "adjustment",
    "credit": "adjustment",
}
TEXTS: Final[Mapping[str, str]] = {
    "external_product_id": "external_product_identifier",
    "payee_hint": "payee_hint",
    "partner_external_id": "partner_external_id",
    "territory": "territory",
    "customer_id": "customer_id",
    "original_external_id": "original_external_id",
    "reason": "reason",
}
"""Field of an import → field of the record, where the value is text as it stands."""
TARGETS: Final[Mapping[str, str]] = {
    "external_id": "external_revenue_id",
    "occurred_at": "transaction_date",
    "type": "revenue_type",
    **{record: target for target, record in TEXTS.items()},
}
"""Field of the record → field of an import, where they differ in name."""
ANY_CURRENCY: Final = "any"

Getter = Callable[[Sequence[str], int], str]


class RowProblem(NamedTuple):
    """What is wrong with one place of a file: `field` of the import, `column` of the file; "" for the whole row."""

    row: int
    column: str
    field: str
    code: str
    detail: str
    value: str = ""


class LeftOut(NamedTuple):
    """A row that is no revenue: `zero_amount`, or `not_revenue` by what its template knows."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How the values of a file are meant, once everything is settled.

    `currency` is that of every row, or `any`; `default_currency` that of rows that name none.
    """

    zone: tzinfo
    date_order: str | None = None
    decimal_separator: str | None = "."
    currency: str = ANY_CURRENCY
    default_currency: str | None = None


class Converter:
    """Reads the rows of one file under one mapping."""

    def __init__(self, table: Table, mapping: Mapped, template: Template, reading: Reading, source_id: str) -> None:
        self._table, self._mapping, self._template, self._reading = table, mapping, template, reading
        self._source_id = source_id
        self._places = {name: place for place, name in enumerate(table.columns)}
        self._getters = {target: self._getter(source) for target, source in mapping.items()}
        self._texts = [(target, record, TEXT_LENGTHS[record]) for target, record in TEXTS.items() if target in mapping]
        self._metadata = [
            (target, target.removeprefix(METADATA), source.get("type", "text"))
            for target, source in mapping.items()
            if target.startswith(METADATA)
        ]
        self._choices = [found for choice in template.choices if (found := self._choice(choice)) is not None]
        self._zeroes = [(name, self._column(name)) for name in self._columns_named(template.zero_columns)]

    def convert(self, row: TableRow) -> FileRecord | LeftOut | list[RowProblem]:
        """What the row says."""
        number, cells = row
        problems = self._shape_problems(number, cells)
        if problems:
            return problems
        if not all(choice.keeps(get(cells, number)) for choice, get in self._choices):
            return LeftOut(number, "not_revenue")
        values: dict[str, Any] = {"revenue_source_id": self._source_id}
        currency = self._field(values, problems, row, "currency", self._read_currency)
        amount = self._field(values, problems, row, "amount", partial(self._read_amount, currency))
        if amount is not None and not Decimal(amount):
            return LeftOut(number, "zero_amount")
        self._field(values, problems, row, "external_revenue_id", self._read_id, name="external_id")
        self._field(values, problems, row, "transaction_date", self._read_moment, name="occurred_at")
        self._field(values, problems, row, "revenue_type", partial(self._read_type, amount), name="type")
        for target, record, length in self._texts:
            self._field(values, problems, row, target, partial(_read_text, length), name=record)
        self._read_metadata(values, problems, row)
        problems += self._undatable(row)
        problems += self._stray_sale(values, row.number)
        return problems or FileRecord(**values)

    def problem(self, number: int, record_field: str, code: str, detail: str) -> RowProblem:
        """A problem that was found in the record of a row, at the column that the field came from."""
        target = TARGETS.get(record_field, record_field)
        return RowProblem(number, self._column_of(target), target, code, detail)

    # -- one field -------------------------------------------------------------------------------

    def _field(
        self,
        values: dict[str, Any],
        problems: list[RowProblem],
        row: TableRow,
        target: str,
        read: Callable[[str], Any],
        name: str = "",
    ) -> Any:
        """Read a field into `values`, or add to `problems`; gives what was read, None for nothing."""
        getter = self._getters.get(target)
        text = "" if getter is None else getter(row.cells, row.number)
        try:
            value = read(_unwrapped(text) if text[:1] == "=" else text)
        except Wrong as wrong:
            shown = text[:SHOWN_LENGTH]
            problems.append(RowProblem(row.number, self._column_of(target), target, wrong.code, wrong.detail, shown))
            return None
        if value is not None:
            values[name or target] = value
        return value

    def _read_currency(self, text: str) -> str:
        currency = text.upper() or self._reading.default_currency
        if not currency:
            raise Wrong("required")
        if currency not in MINOR_UNITS:
            raise Wrong("unknown_currency")
        if self._reading.currency not in {ANY_CURRENCY, currency}:
            raise Wrong(
                "currency_of_import", f"This import is in {self._reading.currency}; import others by themselves."
            )
        return currency

    def _read_amount(self, currency: str | None, text: str) -> str:
        source = self._mapping.get("amount", {})
        factors = text.split(_FACTOR) if "multiply" in source else [text]
        amounts = [self._one_amount(factor.strip(), currency) for factor in factors]
        amount = amounts[0]
        for factor in amounts[1:]:
            amount = product(amount, factor)
        return amount

    def _one_amount(self, text: str, currency: str | None) -> str:
        if not text:
            raise Wrong("required")
        amount = read_amount(text, self._reading.decimal_separator)
        is_whole = text.lstrip("-").isdigit()
        if self._template.whole_numbers_are_minor_units and is_whole and currency is not None:
            return from_minor_units(amount, currency)
        return amount

    def _read_id(self, text: str) -> str:
        if not text:
            raise Wrong("required")
        return _read_text(TEXT_LENGTHS["external_id"], text) or ""

    def _read_moment(self, text: str) -> datetime:
        if not text:
            raise Wrong("required")
        return read_moment(text, self._reading.date_order, self._reading.zone)

    def _read_type(self, amount: str | None, text: str) -> str | None:
        if amount is None:
            return None
        is_negative = amount.startswith("-")
        if not text:
            return "refund" if is_negative else "sale"
        word = normalised(text)
        kind = TYPES.get(self._template.types.get(word, word))
        if kind is None:
            raise Wrong("invalid_choice", "Expected sale, refund, adjustment or credit.")
        if (kind == "sale" and is_negative) or (kind == "refund" and not is_negative):
            raise Wrong("amount_sign")
        return kind

    def _read_metadata(self, values: dict[str, Any], problems: list[RowProblem], row: TableRow) -> None:
        metadata: dict[str, Any] = {}
        for target, key, kind in self._metadata:
            self._field(metadata, problems, row, target, partial(_read_typed, kind), name=key)
        if len(metadata) > METADATA_KEYS:
            problems.append(RowProblem(row.number, "", METADATA, "metadata_limit", FIELD_CODES["metadata_limit"]))
        if metadata:
            values["metadata"] = metadata

    # -- the row as a whole ----------------------------------------------------------------------

    def _shape_problems(self, number: int, cells: Sequence[str]) -> list[RowProblem]:
        """Cells beyond the header, and cells that no spreadsheet could hold."""
        problems = []
        if len(cells) > len(self._table.columns) and any(cell.strip() for cell in cells[len(self._table.columns) :]):
            detail = f"The row has {len(cells)} cells, the header {len(self._table.columns)}."
            problems.append(RowProblem(number, "", "", "extra_cells", detail))
        if max(map(len, cells), default=0) > CELL_LIMIT:
            for name, cell in zip(self._table.columns, cells, strict=False):
                if len(cell) > CELL_LIMIT:
                    detail = f"The cell has {len(cell):,} characters; is a quotation mark not closed?"
                    problems.append(RowProblem(number, name, "", "too_long", detail, cell[:SHOWN_LENGTH]))
        return problems

    def _undatable(self, row: TableRow) -> list[RowProblem]:
        """What stands in columns that must be empty or zero."""
        problems = []
        for name, get in self._zeroes:
            text = get(row.cells, row.number)
            if text.strip("0.,-"):
                reason = self._template.zero_reason
                problems.append(RowProblem(row.number, name, "", "undated_refund", reason, text[:SHOWN_LENGTH]))
        return problems

    def _stray_sale(self, values: dict[str, Any], number: int) -> list[RowProblem]:
        """Only a refund names its sale; taken out of `values` where the export names it everywhere."""
        if values.get("type") == "refund" or "original_external_id" not in values:
            return []
        sale = values.pop("original_external_id")
        if self._template.names_sale_on_every_row or sale == values.get("external_id"):
            return []
        return [self.problem(number, "original_external_id", "invalid", "Only a refund names its sale.")]

    # -- where values come from ------------------------------------------------------------------

    def _getter(self, source: Source) -> Getter:
        if "value" in source:
            return partial(_constant, source["value"])
        if "column" in source:
            return self._column(source["column"])
        parts = source.get("columns") or source["multiply"]
        separator = source.get("separator", "") if "columns" in source else _FACTOR
        getters = [_row_number if name == ROW_NUMBER else self._column(name) for name in parts]
        return partial(_joined, getters, separator)

    def _column(self, name: str) -> Getter:
        return partial(_cell, self._places[name])

    def _columns_named(self, names: Sequence[str]) -> list[str]:
        wanted = {normalised(name) for name in names}
        return [column for column in self._table.columns if normalised(column) in wanted]

    def _choice(self, choice: Choice) -> tuple[Choice, Getter] | None:
        found = self._columns_named(choice.columns)
        return (choice, self._column(found[0])) if found else None

    def _column_of(self, target: str) -> str:
        return column_of(self._mapping, target)


_FACTOR: Final = "\x1f"


def _cell(place: int, cells: Sequence[str], _number: int) -> str:
    return cells[place].strip() if place < len(cells) else ""


def _constant(value: str, _cells: Sequence[str], _number: int) -> str:
    return value


def _row_number(_cells: Sequence[str], number: int) -> str:
    return str(number)


def _joined(getters: Sequence[Getter], separator: str, cells: Sequence[str], number: int) -> str:
    return separator.join([get(cells, number) for get in getters])


def _unwrapped(text: str) -> str:
    """What spreadsheets write to keep zeros at the front, `="0042"`, is text; any other formula is none."""
    if len(text) > 3 and text.startswith('="') and text.endswith('"'):
        return text[2:-1]
    raise Wrong("formula")


def _read_text(length: int, text: str) -> str | None:
    if not text:
        return None
    if len(text) > length:
        raise Wrong("too_long", f"At most {length} characters.")
    if "\x00" in text or not _is_encodable(text):
        raise Wrong("unprintable")
    return text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_typed(kind: str, text: str) -> Any:
    """A metadata value of its type; None for an empty cell."""
    if not text or kind == "text":
        return _read_text(METADATA_TEXT_LENGTH, text)
    if kind == "boolean":
        word = text.lower()
        if word not in _TRUTHS:
            raise Wrong("invalid_type", "Expected true or false.")
        return _TRUTHS[word]
    number = Decimal(read_amount(text, "."))
    value = int(number) if number == number.to_integral_value() else number
    if not is_storable(value):
        raise Wrong("out_of_range")
    return value


_TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
