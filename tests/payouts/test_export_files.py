"""What is to be paid goes out exactly, no spreadsheet runs it, and it is read back as it was written."""

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alliantra.money import MINOR_UNITS
from rules.payouts.confirmation_files import read_confirmations
from rules.payouts.export_files import COLUMNS, PayoutRow, export_csv, export_records, marked, unmarked

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
IDS = TEXTS.filter(lambda text: text.strip() != "")
FORMULAS = st.builds(
    "".join, st.tuples(st.sampled_from(["", "'", "''", " '"]), st.sampled_from(["=", "+", "-", "@", "\t", "\r"]), IDS)
)
CURRENCIES = st.sampled_from(sorted(MINOR_UNITS))


def payout(payee: str | None, name: str = "Ada", amount: str = "12.50", currency: str = "USD") -> PayoutRow:
    """What one payee is to be paid."""
    return PayoutRow(payee, name, currency, Decimal(amount), "run-1", "https://alliantra.example/statements/1")


@st.composite
def payouts(draw: st.DrawFn) -> list[PayoutRow]:
    """Rows of payees with any names, above zero in minor units of any currency."""
    rows = []
    for payee in draw(st.lists(IDS | FORMULAS, min_size=1, max_size=8)):
        currency = draw(CURRENCIES)
        units = draw(st.integers(min_value=1, max_value=10**12))
        amount = Decimal(units).scaleb(-MINOR_UNITS[currency])
        name = draw(TEXTS | FORMULAS)
        rows.append(PayoutRow(payee, name, currency, amount, "run-1", draw(TEXTS | FORMULAS)))
    return rows


def file_of(rows: list[PayoutRow]) -> bytes:
    """The export as people download it."""
    return "".join(export_csv(rows)).encode()


def test_the_columns_are_those_that_are_documented() -> None:
    lines = list(export_csv([payout("ada", amount="1234.5")]))
    assert lines == [
        "payee_external_id,payee_name,currency,amount_due,calculation_run_id,statement_url_or_id\r\n",
        "ada,Ada,USD,1234.50,run-1,https://alliantra.example/statements/1\r\n",
    ]


def test_an_export_of_nothing_is_a_header() -> None:
    assert "".join(export_csv([])) == ",".join(COLUMNS) + "\r\n"
    assert export_records([]) == []


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("USD", "5", "5.00"), ("JPY", "500", "500"), ("KWD", "1.5", "1.500"), ("EUR", "-3.1", "-3.10")],
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, amount: str, shown: str) -> None:
    rows = [payout("ada", amount=amount, currency=currency)]
    assert export_records(rows)[0]["amount_due"] == shown
    assert next(csv.DictReader(io.StringIO("".join(export_csv(rows)))))["amount_due"] == shown


def test_records_keep_texts_as_they_are() -> None:
    record = export_records([payout(None, name="=Ada")])[0]
    assert record == {
        "payee_external_id": None,
        "payee_name": "=Ada",
        "currency": "USD",
        "amount_due": "12.50",
        "calculation_run_id": "run-1",
        "statement_url_or_id": "https://alliantra.example/statements/1",
    }


@given(payouts())
def test_no_text_of_an_export_can_become_a_formula(rows: list[PayoutRow]) -> None:
    written = list(csv.reader(io.StringIO("".join(export_csv(rows)), newline="")))[1:]
    assert len(written) == len(rows)
    for cell in (cell for cells in written for cell in cells):
        is_number = cell[1:].replace(".", "").replace(",", "").isdigit()
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or is_number


@given(TEXTS | FORMULAS)
def test_the_mark_against_formulas_is_taken_off_again(text: str) -> None:
    assert unmarked(marked(text)) == text


@given(payouts())
@example([payout("'=A1"), payout("=A1"), payout(' ="A1"'), payout("-5"), payout("a\r\nb;c,\t\"d'")])
def test_an_export_is_read_back_with_the_same_payees_and_amounts(rows: list[PayoutRow]) -> None:
    found = read_confirmations(file_of(rows))
    assert found.shape == "generic"
    assert not found.problems
    assert not found.skipped
    assert [(row.payee, row.payee_name, row.currency, row.amount) for row in found.rows] == [
        ((row.payee_external_id or "").strip(), row.payee_name.strip(), row.currency, row.amount_due) for row in rows
    ]


def test_a_payee_without_external_id_is_read_back_by_name() -> None:
    found = read_confirmations(file_of([payout(None, name="Grace Hopper"), payout("ada")]))
    assert [row.candidates for row in found.rows] == [("Grace Hopper",), ("ada",)]
