"""What is to be paid, as CSV or as records; confirmation_files.py reads it back as it was written; pure."""

import io
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from alliantra.csv_text import safe_cell, write_rows
from alliantra.money import quantize

COLUMNS: Final = (
    "payee_external_id",
    "payee_name",
    "currency",
    "amount_due",
    "calculation_run_id",
    "statement_url_or_id",
)
_MARK: Final = "'"


class PayoutRow(NamedTuple):
    """What one payee is to be paid in one currency, and where that was calculated."""

    payee_external_id: str | None
    payee_name: str
    currency: str
    amount_due: Decimal
    calculation_run_id: str
    statement_url_or_id: str


def export_csv(rows: Iterable[PayoutRow]) -> Iterator[str]:
    """The header, then a line for each row, RFC 4180. Raises KeyError for an unknown currency."""
    yield _line(COLUMNS)
    for row in rows:
        yield _line([marked(value) for value in _record(row).values()])


def export_records(rows: Iterable[PayoutRow]) -> list[dict[str, str | None]]:
    """The same as records, texts as they are. Raises KeyError for an unknown currency."""
    return [_record(row) for row in rows]


def marked(text: str | None) -> str:
    """`text` as a cell that no spreadsheet runs, and that `unmarked` makes the same text of again.

    `=A1` → `'=A1`, as everywhere; what looks like that already gets one mark more: `'=A1` → `''=A1`.
    """
    return _MARK + text if text is not None and is_marked(text) else safe_cell(text)


def unmarked(cell: str) -> str:
    """The text of a cell without the mark that it got against formulas: `'=A1` → `=A1`."""
    return cell.removeprefix(_MARK) if is_marked(cell) else cell


def is_marked(cell: str) -> bool:
    """Whether `cell` is one or more marks before what would be a formula without them."""
    bare = cell.lstrip(_MARK)
    return bare != cell and safe_cell(bare) != bare


def _record(row: PayoutRow) -> dict[str, str | None]:
    """The row under its columns' names, the amount with the decimals of its currency."""
    return row._asdict() | {"amount_due": f"{quantize(row.amount_due, row.currency):f}"}


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    write_rows(line, [tuple(cells)])
    return line.getvalue()
