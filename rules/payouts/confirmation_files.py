"""A file of what was really paid, or a list of records, as confirmed payments; pure.

A row is one of three: a payment, or left out with the reason, or a problem with its row and column. What can
be read in two ways is never guessed: the other rows may settle it, people may (`date_order`,
`decimal_separator`), and else it is a problem of the row. The other rows stay readable.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from alliantra.errors import FIELD_CODES
from alliantra.money import MINOR_UNITS, is_currency, quantize
from revenues.imports.reading import PLAIN_AMOUNT, Wrong, read_amount, read_moment
from revenues.imports.survey import Survey, surveyed
from revenues.imports.tables import Table, TableRow, open_table
from revenues.imports.templates import normalised
from rules.payouts.confirmation_shapes import AUTO, PAID, RECORDS, UNPAID, Layout, Shape, detect
from rules.payouts.export_files import unmarked

TEXT_LIMIT: Final = 500
"""Characters of a name or a reference; more is mostly a quotation mark that is never closed."""
DUPLICATE_REFERENCE: Final = "duplicate_reference"
INCOMING: Final = "incoming"
ZERO: Final = "zero"
_CODE_IN_AMOUNT: Final = re.compile(r"[A-Za-z]{3}")
_AS_TEXT: Final = re.compile(r'="(.*)"', re.DOTALL)
_OFFSET: Final = re.compile(r"(?:GMT|UTC)?([+-])([0-9]{1,2})(?::?([0-9]{2}))?")
_ZONES: Final = {
    "AEDT": 11, "AEST": 10, "AKDT": -8, "AKST": -9, "BST": 1, "CDT": -5, "CEST": 2, "CET": 1, "CST": -6, "EDT": -4,
    "EEST": 3, "EET": 2, "EST": -5, "GMT": 0, "HKT": 8, "HST": -10, "JST": 9, "KST": 9, "MDT": -6, "MST": -7,
    "NZDT": 13, "NZST": 12, "PDT": -7, "PST": -8, "SGT": 8, "UTC": 0, "WEST": 1, "WET": 0,
}  # fmt: skip
"""Hours that abbreviations stand before UTC, as PayPal writes them beside its times."""
_TEXT: Final[tuple[type, ...]] = (str,)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {"amount": (str, int, Decimal), "paid_at": (str, datetime)}
"""Field of a record → what it may be, where that is not text alone."""


class ConfirmationProblem(NamedTuple):
    """What is wrong with one row. `code` is `duplicate_reference` or one of FIELD_CODES; no `column`: the whole row."""

    row: int
    column: str
    code: str
    detail: str


class SkippedRow(NamedTuple):
    """A row that is no payment to a payee. `reason` is its own word for it, `incoming` or `zero`."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class ConfirmedPayment:
    """Money that reached a payee. `amount` is above zero and has the decimals of its currency."""

    row: int
    payee: str
    """The best of `candidates`."""
    payee_name: str
    currency: str
    amount: Decimal
    reference: str
    paid_at: datetime | None
    status: str
    """As the file says it."""
    candidates: tuple[str, ...] = ()
    """What may identify the payee, best first: the first that is a known payee is meant."""


@dataclass(frozen=True, slots=True)
class ConfirmationFile:
    """What a file says. Rows are numbered as a spreadsheet does, records from 1."""

    shape: str
    rows: list[ConfirmedPayment] = field(default_factory=list)
    problems: list[ConfirmationProblem] = field(default_factory=list)
    skipped: list[SkippedRow] = field(default_factory=list)


def read_confirmations(
    content: bytes,
    *,
    shape: str = AUTO,
    date_order: str | None = None,
    decimal_separator: str | None = None,
    zone: tzinfo = UTC,
) -> ConfirmationFile:
    """The payments in a CSV, XLS or XLSX file. Raises UnreadableTable or UnknownConfirmationShape.

    `shape` is `auto` or one of SHAPE_KEYS. `date_order` (`dmy`, `mdy`) and `decimal_separator` say what the
    file leaves open; `zone` is that of times without one.
    """
    table = open_table(io.BytesIO(content))
    found = detect(table.columns, shape)
    layout = found.layout(table.columns)
    if unclear := _repeated(table, layout):
        return ConfirmationFile(found.key, problems=unclear)
    evidence = _evidence(table, layout)
    reader = _Reader(
        found,
        layout,
        date_order=date_order or evidence.date_order,
        decimal_separator=decimal_separator or evidence.decimal_separator,
        is_separator_said=decimal_separator is not None,
        zone=zone,
    )
    for row in table.rows():
        reader.take(row.number, _texts(table, row), _extra_cells(table, row))
    return reader.finished()


def payments_from_records(records: Sequence[Mapping[str, Any]]) -> ConfirmationFile:
    """The payments in a list of objects with payee_external_id or payee_id, currency, amount, reference, paid_at.

    `payee_name` and `status` may be there too. Amounts are plain decimals above zero, as text or as exact numbers.
    """
    names = (*(name for names in RECORDS.identifiers for name in names), *RECORDS.columns)
    reader = _Reader(RECORDS, RECORDS.layout(names), None, ".", is_separator_said=True, zone=UTC)
    for number, record in enumerate(records, 1):
        values = {name: record.get(name) for name in names}
        wrong = [
            ConfirmationProblem(number, name, "invalid_type", FIELD_CODES["invalid_type"])
            for name, value in values.items()
            if value is not None and type(value) not in _TYPES.get(name, _TEXT)
        ]
        reader.take(number, {name: _plain(value) for name, value in values.items()}, wrong)
    return reader.finished()


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case Decimal() if value.is_finite():
            return f"{value:f}"
    return str(value).strip()


# -- the file as a whole -------------------------------------------------------------------------------------------


def _repeated(table: Table, layout: Layout) -> list[ConfirmationProblem]:
    """Columns that are read and stand in the header twice: nobody can say which is meant."""
    names = [normalised(column) for column in (*table.columns, *table.repeated)]
    used = dict.fromkeys((*layout.columns.values(), *layout.identifiers))
    return [
        ConfirmationProblem(table.header_number, column, "duplicate_column", FIELD_CODES["duplicate_column"])
        for column in used
        if names.count(normalised(column)) > 1
    ]


def _evidence(table: Table, layout: Layout) -> Survey:
    """How the file writes dates and amounts."""
    columns = {"amount": layout.columns["amount"]}
    if "paid_at" in layout.columns:
        columns["transaction_date"] = layout.columns["paid_at"]
    return surveyed(table, {target: {"column": column} for target, column in columns.items()})


def _texts(table: Table, row: TableRow) -> dict[str, str]:
    cells = dict(zip(table.columns, row.cells, strict=False))
    return {column: _text(cells.get(column, "")) for column in table.columns}


def _text(cell: str) -> str:
    """What a cell says: without the mark against formulas, and without `="…"` around what shall stay a text."""
    quoted = _AS_TEXT.fullmatch(cell)
    return (quoted[1] if quoted else unmarked(cell)).strip()


def _extra_cells(table: Table, row: TableRow) -> list[ConfirmationProblem]:
    if not any(cell.strip() for cell in row.cells[len(table.columns) :]):
        return []
    detail = f"The row has {len(row.cells)} cells, the header {len(table.columns)}."
    return [ConfirmationProblem(row.number, "", "extra_cells", detail)]


# -- its rows ------------------------------------------------------------------------------------------------------


class _Draft(NamedTuple):
    """A row whose cells can be read; its amount still has the sign that the file gives it."""

    payment: ConfirmedPayment
    is_outward: bool
    """Whether the row itself says that the money went out."""


class _Reader:
    """Rows one by one, then what only all of them together show: what a sign means, and references that come twice."""

    def __init__(
        self,
        shape: Shape,
        layout: Layout,
        date_order: str | None,
        decimal_separator: str | None,
        *,
        is_separator_said: bool,
        zone: tzinfo,
    ) -> None:
        self._shape, self._layout, self._zone = shape, layout, zone
        self._date_order, self._separator = date_order, decimal_separator
        self._is_separator_said = is_separator_said
        self._used = tuple(dict.fromkeys((*layout.identifiers, *layout.columns.values())))
        self._drafts: list[_Draft] = []
        self._problems: list[ConfirmationProblem] = []
        self._skipped: list[SkippedRow] = []

    def take(self, number: int, texts: Mapping[str, str], wrong: Iterable[ConfirmationProblem]) -> None:
        """Read one row; `wrong` is what is known to be wrong with it before."""
        problems = list(wrong)
        if not problems and (reason := self._reason_to_skip(texts)):
            self._skipped.append(SkippedRow(number, reason[:TEXT_LIMIT]))
            return
        blank = [name for name in self._shape.required if not self._field(texts, name)]
        problems += [self._problem(number, name, Wrong("required")) for name in blank]
        for column in self._used:
            if (wrong_text := _unfit(texts.get(column, ""))) is not None:
                problems.append(ConfirmationProblem(number, column, wrong_text.code, wrong_text.detail))
        values: dict[str, Any] = {}
        for name, read in (
            ("status", self._status),
            ("payee", self._candidates),
            ("currency", self._currency),
            ("amount", self._amount),
            ("paid_at", self._paid_at),
        ):
            try:
                values[name] = read(texts)
            except Wrong as error:
                problems.append(self._problem(number, name, error))
        if problems:
            first_of_each = {problem.column: problem for problem in reversed(problems)}
            self._problems += reversed(first_of_each.values())
            return
        candidates = values.pop("payee")
        values |= {name: self._field(texts, name) for name in ("payee_name", "reference")}
        payment = ConfirmedPayment(row=number, payee=candidates[0], candidates=candidates, **values)
        self._drafts.append(_Draft(payment, bool(self._field(texts, "direction"))))

    def finished(self) -> ConfirmationFile:
        """All rows, each as what it is."""
        are_negative = {draft.payment.amount < 0 for draft in self._drafts if draft.payment.amount}
        rows: list[ConfirmedPayment] = []
        seen: dict[str, int] = {}
        for draft in self._drafts:
            payment = self._settled(draft, are_negative)
            if payment is None:
                continue
            first = seen.setdefault(payment.reference, payment.row) if payment.reference else payment.row
            if first == payment.row:
                rows.append(payment)
            else:
                wrong = Wrong(DUPLICATE_REFERENCE, f"Row {first} has the same reference.")
                self._problems.append(self._problem(payment.row, "reference", wrong))
        self._problems.sort(key=lambda problem: problem.row)
        self._skipped.sort()
        return ConfirmationFile(self._shape.key, rows, self._problems, self._skipped)

    def _settled(self, draft: _Draft, are_negative: set[bool]) -> ConfirmedPayment | None:
        """The payment with the amount that went out; None, and noted why, where none did."""
        payment = draft.payment
        is_negative, is_mixed = payment.amount < 0, len(are_negative) == 2
        if not payment.amount:
            self._skipped.append(SkippedRow(payment.row, ZERO))
        elif self._shape.signs == "outgoing" and is_mixed and not is_negative and not draft.is_outward:
            self._skipped.append(SkippedRow(payment.row, INCOMING))
        elif is_negative and (self._shape.signs == "refused" or (self._shape.signs == "uniform" and is_mixed)):
            self._problems.append(
                self._problem(payment.row, "amount", Wrong("amount_sign", "A payment is above zero."))
            )
        else:
            return replace(payment, amount=abs(payment.amount))
        return None

    # -- what a row says of each field

    def _problem(self, number: int, name: str, wrong: Wrong) -> ConfirmationProblem:
        column = self._layout.identifiers[0] if name == "payee" else self._layout.columns.get(name, "")
        return ConfirmationProblem(number, column, wrong.code, wrong.detail)

    def _field(self, texts: Mapping[str, str], name: str) -> str:
        return texts.get(self._layout.columns.get(name, ""), "")

    def _reason_to_skip(self, texts: Mapping[str, str]) -> str:
        """Why the row is no payout to a payee, in its own words; empty if it is one, or may be."""
        status, direction, kind = (self._field(texts, name) for name in ("status", "direction", "kind"))
        if normalised(status) in UNPAID:
            return status
        if self._shape.outward and direction and normalised(direction) not in self._shape.outward:
            return direction
        return kind if self._shape.other_kinds & set(normalised(kind).split("_")) else ""

    def _status(self, texts: Mapping[str, str]) -> str:
        status = self._field(texts, "status")
        if status and normalised(status) not in PAID:
            raise Wrong("invalid_choice", f"{status[:50]!r} does not say whether the payment was made.")
        return status

    def _candidates(self, texts: Mapping[str, str]) -> tuple[str, ...]:
        found = dict.fromkeys(texts.get(column, "") for column in self._layout.identifiers)
        candidates = tuple(text for text in found if text)
        if not candidates:
            raise Wrong("required")
        return candidates[:1] if self._shape.only_best_identifier else candidates

    def _currency(self, texts: Mapping[str, str]) -> str:
        currency = self._field(texts, "currency").upper()
        if not is_currency(currency):
            raise Wrong("unknown_currency")
        return currency

    def _amount(self, texts: Mapping[str, str]) -> Decimal:
        text = self._field(texts, "amount")
        if self._shape.is_plain and PLAIN_AMOUNT.fullmatch(text) is None:
            raise Wrong("amount_format")
        plain = read_amount(text, self._separator)
        currency = self._field(texts, "currency").upper()
        if not is_currency(currency):
            return Decimal(plain)
        if {code.upper() for code in _CODE_IN_AMOUNT.findall(text)} - {currency}:
            raise Wrong("currency_mismatch", f"The amount names another currency than {currency}.")
        return self._exact(plain, currency)

    def _exact(self, plain: str, currency: str) -> Decimal:
        """The amount with its currency's decimals. Raises Wrong: what is finer was not paid, or is meant otherwise."""
        whole, _, fraction = plain.lstrip("-").partition(".")
        may_be_thousands = len(fraction) == 3 > MINOR_UNITS[currency] and len(whole) <= 3 and whole != "0"
        if may_be_thousands and not self._is_separator_said:
            raise Wrong("ambiguous_amount")
        amount = quantize(Decimal(plain), currency)
        if amount != Decimal(plain):
            raise Wrong("amount_format", f"{currency} has {MINOR_UNITS[currency]} decimals.")
        return amount

    def _paid_at(self, texts: Mapping[str, str]) -> datetime | None:
        day, clock, zone = (self._field(texts, name) for name in ("paid_at", "time", "zone"))
        if not day:
            return None
        text = f"{day} {clock}" if clock and ":" not in day else day
        return read_moment(text, self._date_order, _zone(zone) if zone else self._zone)


def _unfit(text: str) -> Wrong | None:
    """Why `text` cannot be kept, if it cannot."""
    if len(text) > TEXT_LIMIT:
        return Wrong("too_long", f"The cell has {len(text):,} characters; is a quotation mark not closed?")
    if any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text):
        return Wrong("unprintable")
    return None


_zone_names = cache(available_timezones)


@cache
def _zone(name: str) -> tzinfo:
    """`PDT`, `GMT+02:00` and `Europe/Berlin` as a time zone. Raises Wrong."""
    if name.upper() in _ZONES:
        return timezone(timedelta(hours=_ZONES[name.upper()]))
    if (offset := _OFFSET.fullmatch(name.upper())) is not None and int(offset[2]) < 24 and int(offset[3] or 0) < 60:
        distance = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(-distance if offset[1] == "-" else distance)
    if name in _zone_names():
        return ZoneInfo(name)
    raise Wrong("invalid_date", f"The time zone {name[:50]!r} is not known.")
