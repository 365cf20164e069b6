"""Every line of a statement as CSV that no spreadsheet runs."""

import io
from collections.abc import Iterator, Sequence
from typing import Final

from alliantra.csv_text import write_rows
from rules.statements.document import StatementDocument

HEADER: Final = (
    "statement", "record", "kind", "occurred_at", "reference", "description", "basis", "rate", "amount", "currency"
)  # fmt: skip


def csv_lines(document: StatementDocument) -> Iterator[str]:
    """The header, each line, each adjustment, then the balance; every record ends in CRLF.

    `record` tells them apart: line, adjustment, summary. The amounts of the summary are signed, so that
    those above the closing balance add up to it. Moments are ISO 8601 with the offset of the statement's zone.
    """
    buffer = io.StringIO(newline="")
    for row in _rows(document):
        write_rows(buffer, [row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _rows(document: StatementDocument) -> Iterator[Sequence[str]]:
    number, currency, plain = document.number, document.currency, document.plain
    yield HEADER
    for line in document.lines:
        moment = document.local(line.occurred_at).isoformat()
        basis, amount = plain(line.basis), plain(line.amount)
        yield (
            number, "line", line.kind, moment, line.reference, line.description, basis, line.rate, amount, currency
        )  # fmt: skip
    for adjustment in document.adjustment_lines:
        amount = plain(adjustment.amount)
        yield number, "adjustment", "adjustment", "", "", adjustment.description, "", "", amount, currency
    gross = plain(document.gross_basis)
    yield number, "summary", "gross_basis", "", "", "Gross basis", gross, "", "", currency
    for entry in document.balance:
        yield number, "summary", entry.key, "", "", entry.label, "", "", plain(entry.amount), currency
